//! Which variables of the server its commands get: those that describe the machine and its tools, and those that the
//! operator names (`--pass-env`). Pure except for [`PassedVariables::variables`].

use std::ffi::OsString;
use std::str::FromStr;

/// Secrets of the server, which no command gets.
pub(in crate::engine) const SERVER_SECRETS: [&str; 3] = ["RUNTRAIL_TOKEN", "RUNTRAIL_DATABASE_URL", "DATABASE_URL"];

/// The prefix of the server's own variables. Commands get only those that the engine sets.
const OWN_PREFIX: &str = "RUNTRAIL_";

/// Variables that every command gets. They describe the machine and the user's preferences and are no secrets, except
/// for passwords in proxy addresses, which programs need to reach the proxy.
const DEFAULT_VARIABLES: [&str; 68] = [
    // The user and folders.
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
    // Formats of text and time.
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TERM",
    "TZ",
    // The network.
    "ALL_PROXY",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    // Git: authors, and where its settings are. Not GIT_CONFIG_COUNT and the like, which may contain passwords.
    "GIT_AUTHOR_*",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMITTER_*",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_EXEC_PATH",
    // The locations of toolchains.
    "ANDROID_HOME",
    "ANDROID_SDK_ROOT",
    "BUN_INSTALL",
    "CARGO_HOME",
    "CONDA_PREFIX",
    "COREPACK_HOME",
    "DENO_DIR",
    "DOTNET_ROOT",
    "GOBIN",
    "GOPATH",
    "GOROOT",
    "GRADLE_HOME",
    "GRADLE_USER_HOME",
    "JAVA_HOME",
    "LD_LIBRARY_PATH",
    "MAVEN_HOME",
    "NODE_PATH",
    "NVM_BIN",
    "NVM_DIR",
    "PKG_CONFIG_PATH",
    "PNPM_HOME",
    "PYENV_ROOT",
    "PYENV_VERSION",
    "PYTHONPATH",
    "RBENV_ROOT",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "SDKMAN_DIR",
    "UV_CACHE_DIR",
    "VIRTUAL_ENV",
    "VOLTA_HOME",
];

/// A variable, or all variables with a prefix: `NAME`, `PREFIX_*` or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariablePattern(String);

impl VariablePattern {
    fn fits(&self, name: &str) -> bool {
        fits(&self.0, name)
    }
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariablePatternError {
    /// It has other characters.
    #[error("must be the name of a variable, a beginning such as AWS_*, or * for all")]
    NoName,
    /// The variables are the server's own.
    #[error("names variables of the server itself ({OWN_PREFIX}…), which commands do not get")]
    Own,
}

impl FromStr for VariablePattern {
    type Err = VariablePatternError;

    fn from_str(text: &str) -> Result<Self, VariablePatternError> {
        let name = text.strip_suffix('*').unwrap_or(text);
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if text.is_empty() || !is_name || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(VariablePatternError::NoName);
        }
        if name.starts_with(OWN_PREFIX) || SERVER_SECRETS.contains(&text) {
            return Err(VariablePatternError::Own);
        }
        Ok(Self(text.to_owned()))
    }
}

/// The server's variables that commands get.
#[derive(Clone, Debug, Default)]
pub struct PassedVariables(Vec<VariablePattern>);

impl PassedVariables {
    /// The default variables, and these.
    pub const fn new(more: Vec<VariablePattern>) -> Self {
        Self(more)
    }

    /// Whether commands get the variable of this name. Variables with secrets of pipelines are excluded elsewhere.
    fn has(&self, name: &str) -> bool {
        let is_known =
            DEFAULT_VARIABLES.iter().any(|usual| fits(usual, name)) || self.0.iter().any(|pattern| pattern.fits(name));
        is_known && !name.starts_with(OWN_PREFIX) && !SERVER_SECRETS.contains(&name)
    }

    /// The variables, without those that pipelines name as secrets. `as_other`: the command runs as another user, who
    /// has folders of its own.
    pub(super) fn variables(&self, secrets: &[String], as_other: bool) -> impl Iterator<Item = (String, OsString)> {
        let all = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let is_folder = |name: &str| name.starts_with("XDG_") || name == "TMPDIR";
        all.filter(move |(name, _)| self.has(name) && !secrets.contains(name) && !(as_other && is_folder(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(patterns: &[&str]) -> PassedVariables {
        PassedVariables::new(patterns.iter().map(|pattern| pattern.parse().unwrap()).collect())
    }

    #[test]
    fn default_variables_describe_the_machine() {
        let usual = passed(&[]);
        for name in ["PATH", "HOME", "LC_ALL", "https_proxy", "CARGO_HOME", "GIT_COMMITTER_EMAIL", "XDG_CONFIG_HOME"] {
            assert!(usual.has(name), "{name}");
        }
        let others = ["AWS_SECRET_ACCESS_KEY", "SSH_AUTH_SOCK", "CREDENTIALS_DIRECTORY", "GIT_CONFIG_VALUE_0", "PATHS"];
        for name in others.into_iter().chain(["RUNTRAIL_TOKEN", "RUNTRAIL_ADDR", "DATABASE_URL", ""]) {
            assert!(!usual.has(name), "{name}");
        }
    }

    #[test]
    fn passed_variables_never_include_the_servers_own() {
        let some = passed(&["AWS_*", "SSH_AUTH_SOCK"]);
        assert!(some.has("AWS_PROFILE") && some.has("SSH_AUTH_SOCK") && some.has("PATH"));
        assert!(!some.has("AWS") && !some.has("SSH_AUTH_SOCKET"));
        let all = passed(&["*"]);
        assert!(all.has("ANYTHING"));
        for own in ["RUNTRAIL_TOKEN", "RUNTRAIL_ADDR", "DATABASE_URL"] {
            assert!(!all.has(own), "{own}");
        }
    }

    #[test]
    fn variable_patterns_are_names_or_prefixes() {
        for bad in ["", "A B", "A=B", "*_A", "A*B", "**", "1A"] {
            assert_eq!(bad.parse::<VariablePattern>(), Err(VariablePatternError::NoName), "{bad}");
        }
        for own in ["RUNTRAIL_TOKEN", "RUNTRAIL_*", "DATABASE_URL"] {
            assert_eq!(own.parse::<VariablePattern>(), Err(VariablePatternError::Own), "{own}");
        }
    }

    #[test]
    fn default_variables_are_valid_patterns() {
        for usual in DEFAULT_VARIABLES {
            assert!(usual.parse::<VariablePattern>().is_ok(), "{usual}");
        }
    }
}
