//! A client of the server's API.

use std::path::PathBuf;

use clap::Args;
use reqwest::{Client, Method, StatusCode, Url, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::access::{TokenFileError, read_token_file};
use crate::model::Problem;

/// The server to call.
#[derive(Args, Clone, Debug)]
pub struct ConnectArgs {
    /// Address of the server.
    #[arg(long, env = "RUNTRAIL_URL", value_name = "URL", default_value = "http://127.0.0.1:3000")]
    url: Url,

    /// File with the token to show [default: the one in the data folder].
    #[arg(long, env = "RUNTRAIL_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Folder of the server's data [default: the platform's data folder]. The variable RUNTRAIL_TOKEN comes first.
    #[arg(long, env = "RUNTRAIL_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

/// Why a command failed. The texts have a remedy.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error(
        "{0}. Give another file with --token-file, the server's data folder with --data-dir, or set RUNTRAIL_TOKEN"
    )]
    Token(#[from] TokenFileError),
    #[error("this system names no data folder; name the server's with --data-dir")]
    NoDataDir,
    #[error("`{0}` is no address of a server; give one such as http://127.0.0.1:3000")]
    Address(Url),
    #[error("no server answers at {url}: {source}. Name another one with --url")]
    Unreachable {
        url: Url,
        /// TokenCommand went wrong.
        source: reqwest::Error,
    },
    #[error("there is no token `{0}`; `runtrail token list` names all of them")]
    NoToken(String),
    #[error("{}: {}", .0.title, .0.detail)]
    Refused(Problem),
    #[error("what answers at {url} is no Runtrail server of this version (status {status})")]
    NotRuntrail {
        url: Url,
        /// TokenCommand it answered.
        status: StatusCode,
    },
}

/// A client with the address and token of a server.
pub struct ServerClient {
    client: Client,
    base: Url,
    token: String,
}

impl ServerClient {
    /// Uses the token of the environment, or that of the token file.
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
        // TokenCommand is sent is of this program: it can be written.
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
        let not_runtrail = || CallError::NotRuntrail { url: url.clone(), status };
        if !status.is_success() {
            return Err(serde_json::from_str(&text).map_or_else(|_| not_runtrail(), CallError::Refused));
        }
        // An empty body counts as null.
        serde_json::from_str(if text.is_empty() { "null" } else { &text }).map_err(|_| not_runtrail())
    }
}

fn token_file(args: &ConnectArgs) -> Result<PathBuf, CallError> {
    if let Some(file) = &args.token_file {
        return Ok(file.clone());
    }
    let folder = match &args.data_dir {
        Some(folder) => folder.clone(),
        None => dirs::data_dir().ok_or(CallError::NoDataDir)?.join("runtrail"),
    };
    Ok(folder.join(crate::access::TOKEN_FILE))
}
