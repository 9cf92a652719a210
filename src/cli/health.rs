//! `runtrail health`: asks a server whether it is ready. For containers and service managers, which have no HTTP client
//! of their own.

use std::time::Duration;

use clap::Args;
use reqwest::{Client, StatusCode, Url};
use tokio::time::{Instant, sleep, timeout_at};

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The time between two requests with `--wait`.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// Which server to ask, and for how long.
#[derive(Args, Clone, Debug)]
pub struct HealthArgs {
    /// Address of the server.
    #[arg(long, env = "RUNTRAIL_URL", value_name = "URL", default_value = "http://127.0.0.1:3000")]
    url: Url,

    /// How long to ask again until the server is ready.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    wait: Option<Duration>,
}

/// Why a server is not ready.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    #[error("--url `{0}` is not the address of a server; set one such as http://127.0.0.1:3000")]
    Address(Url),
    #[error("no server responds at {url}: {source}")]
    Unreachable { url: Url, source: reqwest::Error },
    #[error("the server at {url} is not ready ({status}): {answer}")]
    NotReady { url: Url, status: StatusCode, answer: String },
    #[error("no server responds at {0} in time")]
    TimedOut(Url),
}

/// Asks `/readyz`, which needs no token.
///
/// # Errors
/// [`HealthError`]: the last answer, if there were several.
pub async fn health(args: &HealthArgs) -> Result<String, HealthError> {
    let mut url = args.url.clone();
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(HealthError::Address(url));
    }
    url.set_path(&format!("{}/readyz", args.url.path().trim_end_matches('/')));
    // Never through a proxy: a health check asks the server itself.
    let client = Client::builder().timeout(REQUEST_TIMEOUT).no_proxy().build();
    let client = client.map_err(|source| HealthError::Unreachable { url: url.clone(), source })?;
    let until = Instant::now() + args.wait.unwrap_or(REQUEST_TIMEOUT);
    let mut last = HealthError::TimedOut(url.clone());
    loop {
        match timeout_at(until, ask(&client, &url)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => last = error,
            Err(_) => return Err(last),
        }
        if args.wait.is_none() || Instant::now() + RETRY_INTERVAL >= until {
            return Err(last);
        }
        sleep(RETRY_INTERVAL).await;
    }
}

async fn ask(client: &Client, url: &Url) -> Result<String, HealthError> {
    let unreachable = |source| HealthError::Unreachable { url: url.clone(), source };
    let response = client.get(url.clone()).send().await.map_err(unreachable)?;
    let status = response.status();
    let answer = response.text().await.map_err(unreachable)?.trim().to_owned();
    if status.is_success() { Ok(answer) } else { Err(HealthError::NotReady { url: url.clone(), status, answer }) }
}
