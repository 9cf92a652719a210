//! `runtrail token`: creates, lists and revokes tokens.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::connect::{CallError, ConnectArgs, ServerClient};
use crate::feed::visible::plain;
use crate::model::Role;
use crate::model::access::{CreatedToken, TokenView};

/// Create, list and revoke tokens.
#[derive(Args, Clone, Debug)]
pub struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum TokenCommand {
    /// Create a token, and print it. It is not shown again.
    Create {
        /// Its name.
        name: String,
        /// TokenCommand it allows: viewer, operator, approver or admin.
        #[arg(long)]
        role: Role,
        /// How long it works, such as 12h, 90d or 1y [default: until it is revoked].
        #[arg(long, value_name = "DURATION")]
        expires: Option<String>,
        /// The server.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// List the tokens.
    List {
        /// The server.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Revoke a token. Sessions that were made with it end as well.
    Revoke {
        /// Its name, or its id.
        token: String,
        /// The server.
        #[command(flatten)]
        connect: ConnectArgs,
    },
}

#[derive(Serialize)]
struct NewToken<'a> {
    name: &'a str,
    role: Role,
    expires_in: Option<&'a str>,
}

/// Executes the command; its output.
///
/// # Errors
/// [`CallError`].
pub async fn token(args: &TokenArgs) -> Result<String, CallError> {
    match &args.command {
        TokenCommand::Create { name, role, expires, connect } => {
            let new = NewToken { name, role: *role, expires_in: expires.as_deref() };
            let created: CreatedToken = ServerClient::new(connect)?.post("/api/v1/tokens", &new).await?;
            Ok(created.token)
        }
        TokenCommand::List { connect } => {
            let tokens: Vec<TokenView> = ServerClient::new(connect)?.get("/api/v1/tokens").await?;
            Ok(table(&tokens))
        }
        TokenCommand::Revoke { token, connect } => {
            let client = ServerClient::new(connect)?;
            let tokens: Vec<TokenView> = client.get("/api/v1/tokens").await?;
            let by_id = tokens.iter().find(|known| known.id == *token);
            let found = by_id.or_else(|| tokens.iter().find(|known| known.name == *token));
            let found = found.ok_or_else(|| CallError::NoToken(plain(token)))?;
            client.delete(&format!("/api/v1/tokens/{}", found.id)).await?;
            Ok(format!("The token {} is revoked.", plain(&found.name)))
        }
    }
}

/// The tokens in columns, one per line.
fn table(tokens: &[TokenView]) -> String {
    if tokens.is_empty() {
        return "There is no token besides the server's own.".to_owned();
    }
    let moment = |at: Option<crate::model::Timestamp>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
    let mut rows = vec![["NAME", "ROLE", "CREATED", "EXPIRES", "LAST USED"].map(str::to_owned)];
    rows.extend(tokens.iter().map(|token| {
        let created = Some(token.created_at);
        [plain(&token.name), token.role.to_string(), moment(created), moment(token.expires_at), moment(token.used_at)]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths = [0, 1, 2, 3, 4].map(width);
    let line = |row: &[String; 5]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn token_table_has_columns() {
        let token = |name: &str, used_at| TokenView {
            id: "1".into(),
            name: name.into(),
            role: Role::Operator,
            created_at: Timestamp(0),
            created_by: "operator".into(),
            expires_at: None,
            used_at,
        };
        assert_eq!(
            table(&[token("ci", Some(Timestamp(0))), token("a longer name", None)]),
            "NAME           ROLE      CREATED                   EXPIRES  LAST USED
ci             operator  1970-01-01T00:00:00.000Z  never    1970-01-01T00:00:00.000Z
a longer name  operator  1970-01-01T00:00:00.000Z  never    never"
        );
    }
}
