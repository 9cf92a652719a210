//! Why the server did not start. Each message names what is wrong and what to do.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::listen_policy::ListenError;
use crate::access::{AuditFileError, TokenFileError};
use crate::codemod::ChecksError;
use crate::config::{DatabaseUrlError, NoDataDir};
use crate::engine::run_as::RunAsError;
use crate::http::InvalidAllowHost;
use crate::model::BasePathError;
use crate::model::workers::InstanceRole;
use crate::pipelines::{CatalogError, ProjectsError};
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    ListenPolicy(#[from] ListenError),
    #[error(transparent)]
    AllowHost(#[from] InvalidAllowHost),
    #[error(transparent)]
    Token(#[from] TokenFileError),
    #[error(transparent)]
    Checks(#[from] ChecksError),
    #[error(transparent)]
    AuditFile(#[from] AuditFileError),
    #[error("cannot serve below --public-url: {0}")]
    BasePath(#[from] BasePathError),
    #[error("cannot listen on {addr}: {source}. Choose another address with --addr")]
    Listen { addr: SocketAddr, source: io::Error },
    #[error("cannot use the data folder {}: {source}. Choose another with --data-dir", .folder.display())]
    DataDir { folder: PathBuf, source: io::Error },
    #[error(transparent)]
    NoDataDir(#[from] NoDataDir),
    #[error(transparent)]
    DatabaseUrl(#[from] DatabaseUrlError),
    #[error("cannot open the database {place}: {source}")]
    Database { place: String, source: StoreError },
    #[error(
        "a worker needs a database that it shares with a server, and SQLite has room for one program: give both the same \
         PostgreSQL database with --database-url, or let `runtrail serve` execute the runs"
    )]
    SharedSqlite,
    #[error("a worker executes at least one run at once: set --workers to 1 or more")]
    WorkerWithoutSlots,
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Projects(#[from] ProjectsError),
    #[error(transparent)]
    RunAs(#[from] RunAsError),
    #[error("cannot create the HTTP client for notifications: {0}")]
    NotificationClient(#[from] reqwest::Error),
    #[error("cannot find this program's executable: {0}")]
    OwnFile(io::Error),
}

impl StartError {
    /// The same for a worker, whose remedy may be another one.
    #[must_use]
    pub fn for_role(self, role: InstanceRole) -> Self {
        match self {
            Self::Database { source: StoreError::InUse, .. } if role == InstanceRole::Worker => Self::SharedSqlite,
            error => error,
        }
    }
}
