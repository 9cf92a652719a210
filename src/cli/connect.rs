//! How commands reach a server, and what they show it.

use std::path::PathBuf;

use clap::Args;
use reqwest::{Client, Method, StatusCode, Url, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::access::{TokenFileError, read_token_file};
use crate::model::Problem;

/// Which server is asked.
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

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is no token to show.
    #[error(
        "{0}. Give another file with --token-file, the server's data folder with --data-dir, or set RUNTRAIL_TOKEN"
    )]
    Token(#[from] TokenFileError),
    /// The platform names no data folder.
    #[error("this system names no data folder; name the server's with --data-dir")]
    NoDataDir,
    /// The address has no host, or cannot be one of a server.
    #[error("`{0}` is no address of a server; give one such as http://127.0.0.1:3000")]
    Address(Url),
    /// The server cannot be reached.
    #[error("no server answers at {url}: {source}. Name another one with --url")]
    Unreachable {
        /// Where it was looked for.
        url: Url,
        /// What went wrong.
        source: reqwest::Error,
    },
    /// There is no such token.
    #[error("there is no token `{0}`; `runtrail token list` names all of them")]
    NoToken(String),
    /// The server has refused it.
    #[error("{}: {}", .0.title, .0.detail)]
    Refused(Problem),
    /// Something else than a server of this project answers there.
    #[error("what answers at {url} is no Runtrail server of this version (status {status})")]
    Odd {
        /// Where it was asked.
        url: Url,
        /// What it answered.
        status: StatusCode,
    },
}

/// A server that is asked.
pub struct Connection {
    client: Client,
    base: Url,
    token: String,
}

impl Connection {
    /// A connection that shows the token there is.
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

    /// Asks for something.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        self.call(Method::GET, path, None).await
    }

    /// Sends something.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, CallError> {
        // What is sent is of this program: it can be written.
        self.call(Method::POST, path, serde_json::to_string(body).ok()).await
    }

    /// Deletes something.
    ///
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
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let text = answer.text().await.map_err(unreachable)?;
        let odd = || CallError::Odd { url: url.clone(), status };
        if !status.is_success() {
            return Err(serde_json::from_str(&text).map_or_else(|_| odd(), CallError::Refused));
        }
        // An answer without a body says nothing more.
        serde_json::from_str(if text.is_empty() { "null" } else { &text }).map_err(|_| odd())
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
