//! The flags of `runtrail serve`, each also an environment variable (CONTRACT.md, "The program").

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::FalseyValueParser;

use super::connections::ConnectionLimits;
use super::guard::{Authority, Proxies, UserRole};
use super::limits;
use super::security_txt::contact;
use crate::engine::environment::Pattern;
use crate::model::notify::check_address;
use crate::model::{BasePath, Retention};
use crate::notifications::Egress;
use crate::notifications::egress::Network;
use crate::store::Durability;

/// Where the data is.
#[derive(Args, Clone, Debug)]
pub struct DataArgs {
    /// Folder for the database and the runs' scratch folders [default: the platform's data folder].
    #[arg(long, env = "RUNTRAIL_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,

    /// Database, as sqlite://FILE [default: runtrail.db in the data folder].
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
}

/// Serve the dashboard and carry out runs.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Address to listen on; port 0 picks a free one. Other than loopback needs --token-file or --token.
    #[arg(long, env = "RUNTRAIL_ADDR", default_value = "127.0.0.1:3000")]
    pub addr: SocketAddr,

    /// Where the data is.
    #[command(flatten)]
    pub data: DataArgs,

    /// Folder of pipeline files (*.toml), read again when they change.
    #[arg(long, env = "RUNTRAIL_PIPELINES", value_name = "FOLDER")]
    pub pipelines: Option<PathBuf>,

    /// Folder that runs may work in; repeat it, or separate by commas, for several. Paths outside are refused.
    #[arg(long, env = "RUNTRAIL_PROJECTS", value_name = "FOLDER", value_delimiter = ',')]
    pub projects: Vec<PathBuf>,

    /// Runs carried out at once; others wait in order.
    #[arg(long, env = "RUNTRAIL_WORKERS", value_name = "NUMBER", default_value = "4")]
    pub workers: NonZeroUsize,

    /// After how much silence a stream says that it lives.
    #[arg(long, env = "RUNTRAIL_HEARTBEAT", value_name = "DURATION", default_value = "15s", value_parser = duration)]
    pub heartbeat: Duration,

    /// How long a worker's claim on a run lasts when nothing is heard of it.
    #[arg(long, env = "RUNTRAIL_LEASE", value_name = "DURATION", default_value = "15s", value_parser = duration)]
    pub lease: Duration,

    /// How long a command may take to end after it was asked to, before it is killed.
    #[arg(long, env = "RUNTRAIL_GRACE", value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub grace: Duration,

    /// How often the page polls while no stream is attached.
    #[arg(long, env = "RUNTRAIL_POLL_INTERVAL", value_name = "DURATION", default_value = "3s", value_parser = duration)]
    pub poll_interval: Duration,

    /// How long a run waits for room when the disk of the database is full, before it is ended.
    #[arg(long, env = "RUNTRAIL_DISK_WAIT", value_name = "DURATION", default_value = "1h", value_parser = duration)]
    pub disk_wait: Duration,

    /// How long finished runs are kept, if their pipeline has no rule of its own; for ever if not given. Pinned runs stay.
    #[arg(long, env = "RUNTRAIL_KEEP_AGE", value_name = "DURATION", value_parser = duration)]
    pub keep_age: Option<Duration>,

    /// How many finished runs of a pipeline are kept, if it has no rule of its own; all if not given. Pinned runs stay besides.
    #[arg(long, env = "RUNTRAIL_KEEP_COUNT", value_name = "NUMBER")]
    pub keep_count: Option<NonZeroU32>,

    /// Runs that may wait for a worker; what asks for more is refused, and schedules leave their due times out.
    #[arg(long, env = "RUNTRAIL_MAX_QUEUED", value_name = "NUMBER", default_value = "1000")]
    pub max_queued: NonZeroU32,

    /// Connections that may be open at once [default: as many as the limit of open files allows, less a reserve for runs].
    #[arg(long, env = "RUNTRAIL_MAX_CONNECTIONS", value_name = "NUMBER")]
    pub max_connections: Option<NonZeroUsize>,

    /// Connections that may be open at once from one address, except for this machine's own.
    #[arg(long, env = "RUNTRAIL_CONNECTIONS_PER_CLIENT", value_name = "NUMBER", default_value = "256")]
    pub connections_per_client: NonZeroUsize,

    /// What a commit survives.
    #[arg(long, env = "RUNTRAIL_DURABILITY", default_value = "full")]
    pub durability: Durability,

    /// Secret that clients must show; better --token-file, since others see a command line. Without either, the server makes a token
    /// at its first start, keeps it in the data folder, and serves loopback only.
    #[arg(long, env = "RUNTRAIL_TOKEN", value_name = "SECRET", hide_env_values = true)]
    pub token: Option<String>,

    /// File with the secret that clients must show. Only its owner may be able to read it.
    #[arg(long, env = "RUNTRAIL_TOKEN_FILE", value_name = "FILE", conflicts_with = "token")]
    pub token_file: Option<PathBuf>,

    /// Ask nobody for a token: every program and every account of this machine may do everything. Serves loopback only.
    #[arg(long, env = "RUNTRAIL_NO_TOKEN", value_parser = FalseyValueParser::new(), conflicts_with_all = ["token", "token_file", "user_header"])]
    pub no_token: bool,

    /// Network of proxies whose X-Forwarded-For is believed, such as 127.0.0.1 or 10.0.0.0/24; repeat it, or separate by commas.
    #[arg(long, env = "RUNTRAIL_TRUSTED_PROXY", value_name = "NETWORK", value_delimiter = ',', value_parser = network)]
    pub trusted_proxy: Vec<ipnet::IpNet>,

    /// Header in which a trusted proxy names the user who has logged in there, such as X-Forwarded-User.
    #[arg(long, env = "RUNTRAIL_USER_HEADER", value_name = "HEADER", requires = "trusted_proxy")]
    pub user_header: Option<axum::http::HeaderName>,

    /// Role of a user of --user-header, as USER=ROLE; the user * is everybody else. Repeat it, or separate by commas.
    #[arg(
        long,
        env = "RUNTRAIL_USER_ROLE",
        value_name = "USER=ROLE",
        value_delimiter = ',',
        default_value = "*=viewer"
    )]
    pub user_role: Vec<UserRole>,

    /// File of the checks that AutoFix runs may choose from: [[checks]] with name and run.
    #[arg(long, env = "RUNTRAIL_CHECKS_FILE", value_name = "FILE")]
    pub checks_file: Option<PathBuf>,

    /// Let AutoFix runs give any command as their check: whoever may start a run may then run anything. So it is with --no-token.
    #[arg(long, env = "RUNTRAIL_FREE_CHECKS", value_parser = FalseyValueParser::new())]
    pub free_checks: bool,

    /// File that each line of the audit log is written to, as JSON.
    #[arg(long, env = "RUNTRAIL_AUDIT_LOG", value_name = "FILE")]
    pub audit_log: Option<PathBuf>,

    /// Address that people reach the server at, such as https://ci.example, or https://ci.example/rt behind a proxy that serves it
    /// below a path. Notifications link to it, and its host is allowed.
    #[arg(long, env = "RUNTRAIL_PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    pub public_url: Option<String>,

    /// Network that notifications may go to, besides others that are named: `public`, or such as 10.1.0.0/16 [default: any].
    #[arg(long, env = "RUNTRAIL_ALLOW_EGRESS", value_name = "NETWORK", value_delimiter = ',')]
    pub allow_egress: Vec<Network>,

    /// Send no notifications at all.
    #[arg(long, env = "RUNTRAIL_DENY_EGRESS", value_parser = FalseyValueParser::new(), conflicts_with = "allow_egress")]
    pub deny_egress: bool,

    /// Proxy for notifications. HTTP_PROXY and HTTPS_PROXY are for commands and not used by the server itself.
    #[arg(long, env = "RUNTRAIL_NOTIFY_PROXY", value_name = "URL", hide_env_values = true, value_parser = proxy)]
    pub notify_proxy: Option<reqwest::Url>,

    /// Name that the server is reached by, beside its address and localhost; repeat it, or separate by commas, for several.
    #[arg(long, env = "RUNTRAIL_ALLOW_HOST", value_name = "NAME", value_delimiter = ',')]
    pub allow_host: Vec<String>,

    /// Where to report a fault in security, such as mailto:security@example.com: served as /.well-known/security.txt. Repeat it, or
    /// separate by commas, for several.
    #[arg(long, env = "RUNTRAIL_SECURITY_CONTACT", value_name = "URI", value_delimiter = ',', value_parser = contact)]
    pub security_contact: Vec<String>,

    /// Variable of the server that commands get, besides those that describe the machine and its tools: NAME, a beginning such as AWS_*, or
    /// * for all. Repeat it, or separate by commas, for several.
    #[arg(long, env = "RUNTRAIL_PASS_ENV", value_name = "NAME", value_delimiter = ',')]
    pub pass_env: Vec<Pattern>,

    /// User, by name or number, that commands run as; the server itself must be started by root [default: the server's user].
    #[arg(long, env = "RUNTRAIL_RUN_AS", value_name = "USER")]
    pub run_as: Option<String>,
}

impl ServeArgs {
    /// How many connections there may be, once the limit of open files is as high as it gets.
    pub(super) fn connections(&self) -> ConnectionLimits {
        let possible = limits::connections(self.workers.get()).unwrap_or(usize::MAX);
        let total = self.max_connections.map_or(possible, |asked| {
            if asked.get() > possible {
                tracing::warn!(
                    asked,
                    possible,
                    "--max-connections is more than the limit of open files allows; raise that, too"
                );
            }
            asked.get().min(possible)
        });
        ConnectionLimits { total: total.max(1), per_client: self.connections_per_client.get() }
    }

    /// Whether people, or forges, reach the server from other machines: directly, or through a proxy on this one.
    pub(super) fn is_exposed(&self) -> bool {
        let names = self.allow_host.iter().cloned().chain(self.public_url.as_deref().map(host_of));
        !self.addr.ip().to_canonical().is_loopback() || names.into_iter().any(|name| !is_loopback(&name))
    }

    /// The proxies that are trusted.
    pub(super) fn proxies(&self) -> Proxies {
        Proxies {
            networks: self.trusted_proxy.clone(),
            user_header: self.user_header.clone(),
            roles: self.user_role.clone(),
        }
    }

    /// Where notifications may go.
    pub(super) fn egress(&self) -> Egress {
        let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let variables = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
        if self.notify_proxy.is_none()
            && let Some(variable) = variables.into_iter().find(is_set)
        {
            tracing::info!(variable, "the server's notifications go by no proxy; --notify-proxy names one");
        }
        let allowed = (self.deny_egress || !self.allow_egress.is_empty()).then(|| self.allow_egress.clone());
        Egress { allowed, proxy: self.notify_proxy.clone() }
    }

    /// The rule for pipelines that have none of their own.
    pub fn usual_retention(&self) -> Retention {
        let milliseconds = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Retention { age_ms: self.keep_age.map(milliseconds), count: self.keep_count.map(NonZeroU32::get) }
    }
}

/// A duration such as `15s`, `500ms` or `10m`; longer than nothing.
fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration >= Duration::from_millis(1) => Ok(duration),
        Ok(_) => Err("must be at least 1ms".to_owned()),
        Err(_) => Err("must be a duration such as 15s, 500ms or 10m".to_owned()),
    }
}

/// Whether a host, perhaps with a port, is this machine's alone.
fn is_loopback(host: &str) -> bool {
    Authority::parse(host).is_some_and(|authority| authority.name.is_loopback())
}

/// A network, or one address.
fn network(text: &str) -> Result<ipnet::IpNet, String> {
    let net = text.parse().or_else(|_| text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from));
    net.map_err(|_| "must be an address such as 127.0.0.1, or a network such as 10.0.0.0/24".to_owned())
}

/// The address of a proxy.
fn proxy(text: &str) -> Result<reqwest::Url, String> {
    check_address(text).map_err(|reason| format!("the address {reason}"))?;
    reqwest::Url::parse(text).map_err(|error| error.to_string())
}

/// An address without a slash at the end.
fn public_url(text: &str) -> Result<String, String> {
    check_address(text).map_err(|reason| format!("the address {reason}"))?;
    if text.contains(['?', '#', '@']) {
        return Err("must be an address such as https://ci.example, without name, query and fragment".to_owned());
    }
    BasePath::from_url(text).map_err(|error| error.to_string())?;
    Ok(text.trim_end_matches('/').to_owned())
}

/// The host of an address, with its port if it has one.
pub(super) fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_address_is_one_to_put_a_path_behind() {
        assert_eq!(public_url("https://ci.example/"), Ok("https://ci.example".to_owned()));
        assert_eq!(public_url("http://host:3000/runtrail"), Ok("http://host:3000/runtrail".to_owned()));
        for bad in
            ["", "ci.example", "ftp://a", "https://", "https://a?b", "https://u:p@a", "https://a/b//c", "https://a/api"]
        {
            assert!(public_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_public_host_has_its_port() {
        assert_eq!(host_of("https://ci.example"), "ci.example");
        assert_eq!(host_of("http://[::1]:3000/rt"), "[::1]:3000");
    }

    #[test]
    fn what_has_a_public_name_is_reached_from_elsewhere() {
        for (host, loopback) in [
            ("localhost:3000", true),
            ("127.0.0.2", true),
            ("[::1]:80", true),
            ("runs.example", false),
            ("10.0.0.1:80", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(host), loopback, "{host}");
        }
    }

    #[test]
    fn durations_are_written_with_their_unit() {
        assert_eq!(duration("15s"), Ok(Duration::from_secs(15)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        for bad in ["", "15", "0s", "-1s", "soon"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
