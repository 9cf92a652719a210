//! Databases that cannot be used: one clear sentence, and an exit.

use std::process::Command;

use crate::support::database::{postgres_server, psql};
use crate::support::{TestDatabase, World};

/// The output of a server that does not start.
fn refusal(url: &str, more: &[&str]) -> String {
    let world = World::new();
    let mut program = Command::new(env!("CARGO_BIN_EXE_runtrail"));
    program.args(["serve", "--no-token", "--addr", "127.0.0.1:0", "--database-url", url]).args(more);
    let output = program.arg("--data-dir").arg(world.data()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    text
}

#[test]
fn instance_start_says_why_a_database_cannot_be_used() {
    let server = postgres_server();
    let host = server.rsplit('@').next().unwrap();
    let database = TestDatabase::on_server();
    let url = database.url();
    for (url, sentence) in [
        ("postgres://runtrail@127.0.0.1:1/x".to_owned(), "127.0.0.1:1/x cannot be reached: Connection refused"),
        (format!("{server}/absent"), "has no such database: database \"absent\" does not exist; create it"),
        (format!("postgres://nobody:secret@{host}/postgres"), "refuses the user nobody"),
        ("postgres://runtrail@127.0.0.1:1/x?sslmode=sure".to_owned(), "the URL is not one of PostgreSQL"),
        ("mysql://u:secret@h/d".to_owned(), "cannot use the database `mysql://…`"),
    ] {
        let text = refusal(&url, &[]);
        assert!(text.contains(sentence), "{url}: {text}");
        assert!(!text.contains("secret"), "{text}");
    }
    let absent = refusal(&url, &["--database-password-file", "/absent"]);
    assert!(absent.contains("cannot read the password file /absent"), "{absent}");
}

#[test]
fn instance_start_refuses_a_newer_schema() {
    let database = TestDatabase::on_server();
    let world = World::new();
    drop(world.serve_with(&["--database-url", &database.url()]));
    let newer = "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
        VALUES (9999, 'of a later version', now(), true, '\\x00', 0)";
    psql(&database.url(), newer);
    let text = refusal(&database.url(), &[]);
    assert!(text.contains("schema version 9999 of a newer Runtrail"), "{text}");
}
