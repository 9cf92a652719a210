//! `runtrail token`: creates, lists and revokes tokens.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{CallError, ConnectArgs, ServerClient};
use crate::model::Role;
use crate::model::access::{CreatedToken, TokenView};
use crate::model::visible::plain;

/// Create, list and revoke tokens.
#[derive(Args, Clone, Debug)]
pub struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum TokenCommand {
    /// Create a token and print it. It is not shown again.
    Create {
        /// Name of the token.
        name: String,
        /// Role of the token: viewer, operator, approver or admin.
        #[arg(long)]
        role: Role,
        /// Lifetime, such as 12h, 90d or 1y [default: until it is revoked].
        #[arg(long, value_name = "DURATION")]
        expires: Option<String>,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// List the tokens.
    List {
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Revoke a token. Sessions that were created with it end as well.
    Revoke {
        /// Name or id of the token.
        token: String,
        #[command(flatten)]
        connect: ConnectArgs,
    },
}

#[derive(Serialize)]
struct CreateTokenRequest<'a> {
    name: &'a str,
    role: Role,
    expires_in: Option<&'a str>,
}

/// Executes the command. Returns the text to print.
///
/// # Errors
/// [`CallError`].
pub async fn token(args: &TokenArgs) -> Result<String, CallError> {
    match &args.command {
        TokenCommand::Create { name, role, expires, connect } => {
            let request = CreateTokenRequest { name, role: *role, expires_in: expires.as_deref() };
            let created: CreatedToken = ServerClient::new(connect)?.post("/api/v1/tokens", &request).await?;
            Ok(created.token)
        }
        TokenCommand::List { connect } => {
            let tokens: Vec<TokenView> = ServerClient::new(connect)?.get("/api/v1/tokens").await?;
            Ok(format_table(&tokens))
        }
        TokenCommand::Revoke { token, connect } => {
            let server = ServerClient::new(connect)?;
            let tokens: Vec<TokenView> = server.get("/api/v1/tokens").await?;
            let by_id = tokens.iter().find(|known| known.id == *token);
            let found = by_id.or_else(|| tokens.iter().find(|known| known.name == *token));
            let found = found.ok_or_else(|| CallError::UnknownToken(plain(token)))?;
            server.delete(&format!("/api/v1/tokens/{}", found.id)).await?;
            Ok(format!("The token {} is revoked.", plain(&found.name)))
        }
    }
}

fn format_table(tokens: &[TokenView]) -> String {
    if tokens.is_empty() {
        return "There is no token besides the server's own.".to_owned();
    }
    let format_time = |at: Option<crate::model::Timestamp>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
    let mut rows = vec![["NAME", "ROLE", "CREATED", "EXPIRES", "LAST USED"].map(str::to_owned)];
    rows.extend(tokens.iter().map(|token| {
        let created = Some(token.created_at);
        [
            plain(&token.name),
            token.role.to_string(),
            format_time(created),
            format_time(token.expires_at),
            format_time(token.used_at),
        ]
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
    fn token_list_has_aligned_columns() {
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
            format_table(&[token("ci", Some(Timestamp(0))), token("a longer name", None)]),
            "NAME           ROLE      CREATED                   EXPIRES  LAST USED
ci             operator  1970-01-01T00:00:00.000Z  never    1970-01-01T00:00:00.000Z
a longer name  operator  1970-01-01T00:00:00.000Z  never    never"
        );
    }
}
