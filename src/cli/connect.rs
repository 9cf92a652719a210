//! Calls a running server with a token.

use std::path::PathBuf;

use clap::Args;
use reqwest::{Client, Method, StatusCode, Url, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::access::{TOKEN_FILE_NAME, TokenFileError, read_token_file};
use crate::config::{NoDataDir, data_dir_or_default};
use crate::model::Problem;

/// The server to call.
#[derive(Args, Clone, Debug)]
pub struct ConnectArgs {
    /// Address of the server.
    #[arg(long, env = "RUNTRAIL_URL", value_name = "URL", default_value = "http://127.0.0.1:3000")]
    url: Url,

    /// File with the token to send [default: the one in the data folder].
    #[arg(long, env = "RUNTRAIL_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Folder of the server's data [default: the platform's data folder]. The variable RUNTRAIL_TOKEN takes precedence.
    #[arg(long, env = "RUNTRAIL_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error(
        "{0}. Set another file with --token-file, the server's data folder with --data-dir, or the token with RUNTRAIL_TOKEN"
    )]
    Token(#[from] TokenFileError),
    #[error(transparent)]
    NoDataDir(#[from] NoDataDir),
    #[error("--url `{0}` is not the address of a server; set one such as http://127.0.0.1:3000")]
    Address(Url),
    #[error("no server responds at {url}: {source}. Set another address with --url")]
    Unreachable { url: Url, source: reqwest::Error },
    #[error("there is no token `{0}`; `runtrail token list` shows all of them")]
    UnknownToken(String),
    #[error("{}: {}", .0.title, .0.detail)]
    Refused(Problem),
    #[error(
        "the response of {url} (status {status}) is not that of a Runtrail server of this version. Set another address with --url"
    )]
    UnexpectedResponse { url: Url, status: StatusCode },
}

/// A client of one server.
pub struct ServerClient {
    client: Client,
    base: Url,
    token: String,
}

impl ServerClient {
    /// Reads the token. Sends nothing yet.
    ///
    /// # Errors
    /// [`CallError::Token`], [`CallError::NoDataDir`], [`CallError::Address`].
    pub fn new(args: &ConnectArgs) -> Result<Self, CallError> {
        let token = match std::env::var("RUNTRAIL_TOKEN").ok().filter(|token| !token.trim().is_empty()) {
            Some(token) => token.trim().to_owned(),
            None => read_token_file(&token_file(args)?)?,
        };
        if !matches!(args.url.scheme(), "http" | "https") || args.url.host().is_none() {
            return Err(CallError::Address(args.url.clone()));
        }
        Ok(Self { client: Client::new(), base: args.url.clone(), token })
    }

    /// # Errors
    /// [`CallError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        self.call(Method::GET, path, None).await
    }

    /// # Errors
    /// [`CallError`].
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, CallError> {
        // Serializing the types of this program cannot fail.
        self.call(Method::POST, path, serde_json::to_string(body).ok()).await
    }

    /// # Errors
    /// [`CallError`].
    pub async fn delete(&self, path: &str) -> Result<(), CallError> {
        self.call(Method::DELETE, path, None).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<T, CallError> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        let mut request = self.client.request(method, url.clone()).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        }
        let unreachable = |source| CallError::Unreachable { url: url.clone(), source };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let text = response.text().await.map_err(unreachable)?;
        let unexpected = || CallError::UnexpectedResponse { url: url.clone(), status };
        if !status.is_success() {
            return Err(serde_json::from_str(&text).map_or_else(|_| unexpected(), CallError::Refused));
        }
        // A 204 has no body.
        serde_json::from_str(if text.is_empty() { "null" } else { &text }).map_err(|_| unexpected())
    }
}

fn token_file(args: &ConnectArgs) -> Result<PathBuf, CallError> {
    if let Some(file) = &args.token_file {
        return Ok(file.clone());
    }
    Ok(data_dir_or_default(args.data_dir.as_deref())?.join(TOKEN_FILE_NAME))
}
