//! The flags of `runtrail serve`.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::FalseyValueParser;

use super::DataArgs;
use crate::engine::environment::VariablePattern;
use crate::http::{Authority, HeaderName, TrustedProxies, UserRole, parse_contact};
use crate::model::notify::check_address;
use crate::model::{BasePath, Retention};
use crate::notifications::Egress;
use crate::notifications::egress::Network;
use crate::store::Durability;

/// Serve the dashboard and execute runs.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Address to listen on; port 0 picks a free one. Other than loopback needs --token-file or --token.
    #[arg(long, env = "RUNTRAIL_ADDR", default_value = "127.0.0.1:3000")]
    pub addr: SocketAddr,

    #[command(flatten)]
    pub data: DataArgs,

    /// Folder of pipeline files (*.toml), read again when they change.
    #[arg(long, env = "RUNTRAIL_PIPELINES", value_name = "FOLDER")]
    pub pipelines: Option<PathBuf>,

    /// Folder that runs may work in; repeat it, or separate by commas, for several. Paths outside these folders are
    /// rejected.
    #[arg(long, env = "RUNTRAIL_PROJECTS", value_name = "FOLDER", value_delimiter = ',')]
    pub projects: Vec<PathBuf>,

    /// Runs executed at the same time; others wait in the queue.
    #[arg(long, env = "RUNTRAIL_WORKERS", value_name = "NUMBER", default_value = "4")]
    pub workers: NonZeroUsize,

    /// How long an event stream may be silent before it sends a heartbeat.
    #[arg(long, env = "RUNTRAIL_HEARTBEAT", value_name = "DURATION", default_value = "15s", value_parser = parse_duration)]
    pub heartbeat: Duration,

    /// How long a worker's claim on a run lasts without renewal.
    #[arg(long, env = "RUNTRAIL_LEASE", value_name = "DURATION", default_value = "15s", value_parser = parse_duration)]
    pub lease: Duration,

    /// How long a command may take to end after SIGTERM, before it is killed.
    #[arg(long, env = "RUNTRAIL_GRACE", value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    pub grace: Duration,

    /// How long commands go on without a server when theirs dies or is stopped by SIGTERM, until another one takes its
    /// place; 0s ends them with their server.
    #[arg(long, env = "RUNTRAIL_HANDOVER", value_name = "DURATION", default_value = "60s", value_parser = parse_wait)]
    pub handover: Duration,

    /// The most output of a command that is kept meanwhile, such as 64M. Beyond that the command waits.
    #[arg(long, env = "RUNTRAIL_HANDOVER_SPOOL", value_name = "SIZE", default_value = "64M", value_parser = parse_size)]
    pub handover_spool: u64,

    /// How often the page polls while it has no event stream.
    #[arg(long, env = "RUNTRAIL_POLL_INTERVAL", value_name = "DURATION", default_value = "3s", value_parser = parse_duration)]
    pub poll_interval: Duration,

    /// How long a run waits for free space when the disk of the database is full, before it fails.
    #[arg(long, env = "RUNTRAIL_DISK_WAIT", value_name = "DURATION", default_value = "1h", value_parser = parse_duration)]
    pub disk_wait: Duration,

    /// How long finished runs are kept, unless their pipeline has its own rule [default: forever]. Pinned runs are
    /// always kept.
    #[arg(long, env = "RUNTRAIL_KEEP_AGE", value_name = "DURATION", value_parser = parse_duration)]
    pub keep_age: Option<Duration>,

    /// How many finished runs of a pipeline are kept, unless it has its own rule [default: all]. Pinned runs do not
    /// count.
    #[arg(long, env = "RUNTRAIL_KEEP_COUNT", value_name = "NUMBER")]
    pub keep_count: Option<NonZeroU32>,

    /// Runs that may wait for a worker. Beyond that, requests for runs are rejected and schedules skip their due times.
    #[arg(long, env = "RUNTRAIL_MAX_QUEUED", value_name = "NUMBER", default_value = "1000")]
    pub max_queued: NonZeroU32,

    /// Connections that may be open at once [default: as many as the open file limit allows, minus a reserve for runs].
    #[arg(long, env = "RUNTRAIL_MAX_CONNECTIONS", value_name = "NUMBER")]
    pub max_connections: Option<NonZeroUsize>,

    /// Connections that may be open at once from one address; loopback addresses are exempt.
    #[arg(long, env = "RUNTRAIL_CONNECTIONS_PER_CLIENT", value_name = "NUMBER", default_value = "256")]
    pub connections_per_client: NonZeroUsize,

    /// What a committed write survives.
    #[arg(long, env = "RUNTRAIL_DURABILITY", default_value = "full")]
    pub durability: Durability,

    /// Secret that clients must send. Prefer --token-file: other users can read command lines. Without either, the
    /// server generates a token at its first start, keeps it in the data folder, and serves loopback only.
    #[arg(long, env = "RUNTRAIL_TOKEN", value_name = "SECRET", hide_env_values = true)]
    pub token: Option<String>,

    /// File with the secret that clients must send. It must be readable by its owner only.
    #[arg(long, env = "RUNTRAIL_TOKEN_FILE", value_name = "FILE", conflicts_with = "token")]
    pub token_file: Option<PathBuf>,

    /// Require no token: every program and every account of this machine may do everything. Serves loopback only.
    #[arg(long, env = "RUNTRAIL_NO_TOKEN", value_parser = FalseyValueParser::new(), conflicts_with_all = ["token", "token_file", "user_header"])]
    pub no_token: bool,

    /// Network of proxies whose X-Forwarded-For is trusted, such as 127.0.0.1 or 10.0.0.0/24; repeat it, or separate by
    /// commas.
    #[arg(long, env = "RUNTRAIL_TRUSTED_PROXY", value_name = "NETWORK", value_delimiter = ',', value_parser = parse_network)]
    pub trusted_proxy: Vec<ipnet::IpNet>,

    /// Header in which a trusted proxy sends the name of the user it authenticated, such as X-Forwarded-User.
    #[arg(long, env = "RUNTRAIL_USER_HEADER", value_name = "HEADER", requires = "trusted_proxy")]
    pub user_header: Option<HeaderName>,

    /// Role of a user of --user-header, as USER=ROLE; * matches all other users. Repeat it, or separate by commas.
    #[arg(
        long,
        env = "RUNTRAIL_USER_ROLE",
        value_name = "USER=ROLE",
        value_delimiter = ',',
        default_value = "*=viewer"
    )]
    pub user_role: Vec<UserRole>,

    /// File of the checks that AutoFix runs may use: [[checks]] with name and run.
    #[arg(long, env = "RUNTRAIL_CHECKS_FILE", value_name = "FILE")]
    pub checks_file: Option<PathBuf>,

    /// Let AutoFix runs use any command as their check: everyone who may start a run can then run any command. Implied
    /// by --no-token.
    #[arg(long, env = "RUNTRAIL_FREE_CHECKS", value_parser = FalseyValueParser::new())]
    pub free_checks: bool,

    /// File that the audit log is copied to, one JSON object per line.
    #[arg(long, env = "RUNTRAIL_AUDIT_LOG", value_name = "FILE")]
    pub audit_log: Option<PathBuf>,

    /// Public address of the server, such as https://ci.example, or https://ci.example/rt behind a proxy that serves it
    /// below a path. Notifications link to it, and its host is allowed.
    #[arg(long, env = "RUNTRAIL_PUBLIC_URL", value_name = "URL", value_parser = parse_public_url)]
    pub public_url: Option<String>,

    /// Network that notifications may be sent to: `public`, or a network such as 10.1.0.0/16. Repeat it, or separate by
    /// commas [default: any].
    #[arg(long, env = "RUNTRAIL_ALLOW_EGRESS", value_name = "NETWORK", value_delimiter = ',')]
    pub allow_egress: Vec<Network>,

    /// Send no notifications.
    #[arg(long, env = "RUNTRAIL_DENY_EGRESS", value_parser = FalseyValueParser::new(), conflicts_with = "allow_egress")]
    pub deny_egress: bool,

    /// Proxy for notifications. The server itself does not use HTTP_PROXY and HTTPS_PROXY; commands do.
    #[arg(long, env = "RUNTRAIL_NOTIFY_PROXY", value_name = "URL", hide_env_values = true, value_parser = parse_proxy_url)]
    pub notify_proxy: Option<reqwest::Url>,

    /// Host name of the server, besides its address and localhost; repeat it, or separate by commas, for several.
    #[arg(long, env = "RUNTRAIL_ALLOW_HOST", value_name = "NAME", value_delimiter = ',')]
    pub allow_host: Vec<String>,

    /// Where to report security issues, such as mailto:security@example.com: served in /.well-known/security.txt.
    /// Repeat it, or separate by commas, for several.
    #[arg(long, env = "RUNTRAIL_SECURITY_CONTACT", value_name = "URI", value_delimiter = ',', value_parser = parse_contact)]
    pub security_contact: Vec<String>,

    /// Environment variable that commands inherit, besides those that describe the machine and its tools: NAME, a
    /// prefix such as AWS_*, or * for all. Repeat it, or separate by commas, for several.
    #[arg(long, env = "RUNTRAIL_PASS_ENV", value_name = "NAME", value_delimiter = ',')]
    pub pass_env: Vec<VariablePattern>,

    /// User, by name or number, that commands run as; the server itself must be started by root [default: the server's
    /// user].
    #[arg(long, env = "RUNTRAIL_RUN_AS", value_name = "USER")]
    pub run_as: Option<String>,
}

impl ServeArgs {
    /// `--allow-host` and the host of `--public-url`, each perhaps with a port.
    pub fn allowed_hosts(&self) -> Vec<String> {
        self.allow_host.iter().cloned().chain(self.public_url.as_deref().map(host_of)).collect()
    }

    /// Whether other machines reach the server: directly, or through a proxy on this one.
    pub fn is_exposed(&self) -> bool {
        !self.addr.ip().to_canonical().is_loopback() || self.allowed_hosts().iter().any(|host| !is_loopback(host))
    }

    pub fn trusted_proxies(&self) -> TrustedProxies {
        TrustedProxies {
            networks: self.trusted_proxy.clone(),
            user_header: self.user_header.clone(),
            roles: self.user_role.clone(),
        }
    }

    /// The networks that notifications may be sent to.
    pub fn egress(&self) -> Egress {
        let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let variables = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
        if self.notify_proxy.is_none()
            && let Some(variable) = variables.into_iter().find(is_set)
        {
            tracing::info!(
                variable,
                "notifications are sent directly, not through the proxy of this variable; to use a proxy, --notify-proxy names one"
            );
        }
        let allowed = (self.deny_egress || !self.allow_egress.is_empty()).then(|| self.allow_egress.clone());
        Egress { allowed, proxy: self.notify_proxy.clone() }
    }

    /// The retention of pipelines without their own `[retention]`.
    pub fn default_retention(&self) -> Retention {
        let milliseconds = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Retention { age_ms: self.keep_age.map(milliseconds), count: self.keep_count.map(NonZeroU32::get) }
    }
}

/// A duration of at least 1 ms, such as `15s`, `500ms` or `10m`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration >= Duration::from_millis(1) => Ok(duration),
        Ok(_) => Err("must be at least 1ms".to_owned()),
        Err(_) => Err("must be a duration such as 15s, 500ms or 10m".to_owned()),
    }
}

/// A duration, or `0s` for none.
fn parse_wait(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => Ok(duration),
        _ => parse_duration(text),
    }
}

/// A size of at least 1 MiB, such as `64M` or `1G`.
fn parse_size(text: &str) -> Result<u64, String> {
    let (number, shift) = match text.strip_suffix(['M', 'G']) {
        Some(number) => (number, if text.ends_with('G') { 30 } else { 20 }),
        None => (text, 0),
    };
    let size = number.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    size.filter(|size| *size >= 1 << 20).ok_or_else(|| "must be a size of at least 1M, such as 64M or 1G".to_owned())
}

/// Whether a host, perhaps with a port, is a loopback address or `localhost`.
fn is_loopback(host: &str) -> bool {
    Authority::parse(host).is_some_and(|authority| authority.name.is_loopback())
}

/// A network, or a single address.
fn parse_network(text: &str) -> Result<ipnet::IpNet, String> {
    let net = text.parse().or_else(|_| text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from));
    net.map_err(|_| "must be an address such as 127.0.0.1, or a network such as 10.0.0.0/24".to_owned())
}

fn parse_proxy_url(text: &str) -> Result<reqwest::Url, String> {
    check_address(text).map_err(|reason| format!("the address {reason}"))?;
    reqwest::Url::parse(text).map_err(|error| error.to_string())
}

/// The public URL without a trailing slash.
fn parse_public_url(text: &str) -> Result<String, String> {
    check_address(text).map_err(|reason| format!("the address {reason}"))?;
    if text.contains(['?', '#', '@']) {
        return Err("must be an address such as https://ci.example, without user name, query and fragment".to_owned());
    }
    BasePath::from_url(text).map_err(|error| error.to_string())?;
    Ok(text.trim_end_matches('/').to_owned())
}

/// The host of a URL, with its port if it has one.
fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_url_has_no_trailing_slash_query_or_user() {
        assert_eq!(parse_public_url("https://ci.example/"), Ok("https://ci.example".to_owned()));
        assert_eq!(parse_public_url("http://host:3000/runtrail"), Ok("http://host:3000/runtrail".to_owned()));
        for bad in
            ["", "ci.example", "ftp://a", "https://", "https://a?b", "https://u:p@a", "https://a/b//c", "https://a/api"]
        {
            assert!(parse_public_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn host_of_url_keeps_its_port() {
        assert_eq!(host_of("https://ci.example"), "ci.example");
        assert_eq!(host_of("http://[::1]:3000/rt"), "[::1]:3000");
    }

    #[test]
    fn loopback_hosts_are_recognized() {
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
    fn sizes_and_waits_have_units() {
        assert_eq!((parse_size("64M"), parse_size("2G")), (Ok(64 << 20), Ok(2 << 30)));
        assert_eq!((parse_wait("0s"), parse_wait("60s")), (Ok(Duration::ZERO), Ok(Duration::from_secs(60))));
        for bad in ["", "64", "1K", "-1M", "99999999999999G"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
        assert!(parse_wait("0").is_err() || parse_wait("0") == Ok(Duration::ZERO));
        assert!(parse_wait("60").is_err());
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(parse_duration("15s"), Ok(Duration::from_secs(15)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("10m"), Ok(Duration::from_secs(600)));
        for bad in ["", "15", "0s", "-1s", "soon"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
