//! Attacks that the server withstood, kept as tests: what each route answers to strangers, smuggled requests, odd paths
//! and files, and what commands can find.

use std::time::Duration;

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{LIMIT, Server, World, until};

/// All paths, with something in each place.
fn paths() -> Vec<String> {
    let fill = |path: &String| {
        let parts = path.split('/').map(|part| if part.starts_with(['{', ':', '*']) { "x" } else { part });
        parts.collect::<Vec<_>>().join("/")
    };
    runtrail::http::addresses().iter().map(fill).collect()
}

/// Sends this, closes its side, and reads until the server has closed.
async fn raw(server: &Server, text: &[u8]) -> String {
    let mut socket = TcpStream::connect(server.addr()).await.unwrap();
    // The server may close as soon as it has seen enough.
    let _ = socket.write_all(text).await;
    // A client that hangs up may get no answer, so a request that announces its end waits for it.
    if !String::from_utf8_lossy(text).contains("Connection: close") {
        let _ = socket.shutdown().await;
    }
    let mut answer = Vec::new();
    let _ = timeout(LIMIT, socket.read_to_end(&mut answer)).await.expect("the server closes");
    String::from_utf8_lossy(&answer).into_owned()
}

async fn runs(server: &Server) -> usize {
    server.get_json("/api/v1/runs").await["runs"].as_array().unwrap().len()
}

#[tokio::test]
async fn routes_reject_other_sites_and_reads_change_nothing() {
    let world = World::new();
    world.pipeline("p", &["echo up; sleep 1000"]);
    let server = world.serve();
    let id = server.start(&world, "p").await;
    server.until_line(&id, "up").await;
    let before = server.run(&id).await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(LIMIT).build().unwrap();
    for path in paths() {
        let path = path.replace("/runs/x", &format!("/runs/{id}")).replace("/events", "/events?after=999999");
        for method in ["GET", "HEAD", "OPTIONS"] {
            let request = client.request(method.parse().unwrap(), format!("{}{path}", server.url));
            let answer = request.header("origin", "https://evil.example").send().await.unwrap();
            let cors: Vec<_> =
                answer.headers().keys().filter(|name| name.as_str().starts_with("access-control")).collect();
            assert_eq!(cors, [""; 0], "{method} {path}");
            let read = client.request(method.parse().unwrap(), format!("{}{path}", server.url));
            let read = read.send().await.unwrap();
            assert!(!read.status().is_server_error(), "{method} {path}: {}", read.status());
        }
        for method in ["PUT", "PATCH", "TRACE", "PROPFIND"] {
            let request = client.request(method.parse().unwrap(), format!("{}{path}", server.url));
            let status = request.send().await.unwrap().status();
            assert!(status.is_client_error() || status.is_redirection(), "{method} {path}: {status}");
        }
    }
    let after = server.run(&id).await;
    assert_eq!((runs(&server).await, &after["status"], &after["head"]), (1, &before["status"], &before["head"]));
}

/// What follows the first request is not parsed as a request, or the server closes before it.
#[tokio::test]
async fn requests_are_not_smuggled_in_bodies() {
    let world = World::new();
    world.toml("p", "name = \"p\"\n[[phases]]\nname = \"a\"\nrun = \"true\"\n");
    let server = world.serve();
    let body = "{\"pipeline\":\"p\"}";
    let host = server.addr();
    let hidden = format!(
        "POST /api/v1/runs HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (length, chunked) = (hidden.len(), format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len()));
    for framing in [
        "Content-Length: 0\r\nContent-Length: LENGTH\r\n",
        "Content-Length: LENGTH\r\nContent-Length: 0\r\n",
        "Content-Length: LENGTH, 0\r\n",
        "Content-Length: +LENGTH\r\n",
        "Content-Length: LENGTHx\r\n",
        "Content-Length: -1\r\n",
        "Content-Length:\r\n",
        "Content-Length : LENGTH\r\n",
        " Content-Length: LENGTH\r\n",
        "Content-Length: LENGTH\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: LENGTH\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding:\tchunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "X: y\r\n Transfer-Encoding: chunked\r\n",
        "X: y\0\r\nContent-Length: LENGTH\r\n",
        "X: y\nContent-Length: LENGTH\r\n",
    ] {
        let framing = framing.replace("LENGTH", &length.to_string());
        for sent in [&hidden, &chunked] {
            // A route that takes no body, and one that ignores it.
            for path in ["/healthz", "/api/v1/nothing"] {
                let text = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\n{framing}\r\n{sent}");
                let answer = raw(&server, text.as_bytes()).await;
                assert!(!answer.contains("HTTP/1.1 201"), "{framing:?}: {answer}");
            }
        }
    }
    assert_eq!(runs(&server).await, 0);
}

#[tokio::test]
async fn paths_are_not_reinterpreted() {
    let world = World::new();
    let server = world.serve_with(&["--token", "correct horse battery staple"]);
    for path in [
        "/pkg/../api/v1/runs",
        "/pkg/%2e%2e/api/v1/runs",
        "/pkg/..%2fapi%2fv1%2fruns",
        "/pkg/..%5capi",
        "/pkg//etc/passwd",
        "/pkg/%2fetc%2fpasswd",
        "/pkg/runtrail.css%00.js",
        "/healthz%00",
        "/healthz/../api/v1/runs",
        "//api/v1/runs",
        "/api/v1/runs%0d%0aX: y",
        "/%61pi/v1/runs",
        "/API/v1/runs",
        "/favicon.svg/../api/v1/runs",
        "/api/v1/hooks/../runs",
        "/api/v1/hooks/%2e%2e/runs",
    ] {
        let answer = raw(
            &server,
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.addr()).as_bytes(),
        )
        .await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(["400", "401", "404", "303", "405"].contains(&status), "{path}: {answer}");
        assert!(!answer.contains("\"runs\"") && !answer.contains("root:"), "{path}: {answer}");
    }
    // Names that a proxy may use, and forms of request targets that browsers do not send to servers.
    let host = server.addr();
    for (text, expected) in [
        (format!("GET http://evil.example/healthz HTTP/1.1\r\nHost: {host}\r\n\r\n"), "4"),
        (format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n"), "4"),
        (format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\n\r\n"), "400"),
        (format!("GET /healthz HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: {host}\r\n\r\n"), "421"),
        (format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Host: evil.example\r\n\r\n"), "200"),
        (format!("GET /healthz HTTP/1.1\r\nHost: evil.example\r\nForwarded: host={host}\r\n\r\n"), "421"),
    ] {
        let text = text.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
        let answer = raw(&server, text.as_bytes()).await;
        assert!(answer.split(' ').nth(1).unwrap_or_default().starts_with(expected), "{text}: {answer}");
    }
}

#[tokio::test]
async fn json_bodies_that_are_deep_or_odd_are_refused() {
    let world = World::new();
    world.pipeline("p", &["true"]);
    let server = world.serve();
    let deep = |open: &str, close: &str| format!("{{\"pipeline\": {}{}}}", open.repeat(20_000), close.repeat(20_000));
    let sent = [
        deep("[", "]"),
        deep("{\"a\":", "}"),
        "{\"pipeline\": \"p\", \"params\": {\"project\": 1e999}}".to_owned(),
        "{\"pipeline\": \"\\ud800\"}".to_owned(),
        format!("{{\"pipeline\": \"{}\"}}", "p".repeat(100_000)),
        "{\"pipeline\": \"p\\u0000\"}".to_owned(),
    ];
    let ask = async |body: &String| {
        let request = server.client.post(format!("{}/api/v1/runs", server.url)).body(body.clone());
        request.header("content-type", "application/json").send().await.unwrap().status()
    };
    for status in join_all(sent.iter().map(ask)).await {
        assert!(status.is_client_error(), "{status}");
    }
    assert_eq!(runs(&server).await, 0);
}

/// A folder of pipelines may have anything in it.
#[tokio::test]
async fn pipeline_folder_with_a_pipe_is_read() {
    let world = World::new();
    let folder = world.data().join("../pipelines");
    nix::unistd::mkfifo(&folder.join("pipe.toml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::os::unix::fs::symlink("/dev/zero", folder.join("zero.toml")).unwrap();
    world.pipeline("p", &["true"]);
    let server = world.serve();
    let id = server.start(&world, "p").await;
    server.until_status(&id, "completed").await;
    assert_eq!(server.terminate().await, Some(0));
}

/// Deleting a run removes its own folder, not the target of a link that replaced it.
#[tokio::test]
async fn scratch_folder_link_is_not_followed() {
    let world = World::new();
    let precious = world.file("precious");
    std::fs::create_dir(&precious).unwrap();
    std::fs::write(precious.join("work"), "a day of it").unwrap();
    let replace = format!("d=$PWD; cd /; rm -rf $d; ln -s '{}' $d", precious.display());
    world.toml("p", &format!("name = \"p\"\n[[phases]]\nname = \"a\"\nrun = '''\n{replace}\n'''\n"));
    let server = world.serve();
    for end in ["rerun", "delete"] {
        let started = server.post("/api/v1/runs", json!({ "pipeline": "p" })).await.json::<Value>().await.unwrap();
        let id = started["id"].as_str().unwrap().to_owned();
        let scratch = world.data().join("scratch").join(&id);
        server.until_status(&id, "completed").await;
        assert!(scratch.is_symlink(), "the attack works");
        if end == "rerun" {
            let again = server.post(&format!("/api/v1/runs/{id}/rerun"), json!({})).await;
            assert_eq!(again.status(), StatusCode::ACCEPTED);
            until("it has ended again", async || {
                let run = server.run(&id).await;
                (run["attempt"] == 2 && run["finished_at"] != Value::Null).then_some(())
            })
            .await;
        }
        let gone = server.client.delete(format!("{}/api/v1/runs/{id}", server.url)).send().await.unwrap();
        assert_eq!(gone.status(), StatusCode::NO_CONTENT);
        until("its folder is gone", async || (!scratch.is_symlink()).then_some(())).await;
        assert_eq!(std::fs::read_to_string(precious.join("work")).unwrap(), "a day of it");
    }
}

/// Of the server's files a command has none open: sockets of clients, the database, the leashes of others.
#[tokio::test]
async fn command_has_only_its_own_files_open() {
    let world = World::new();
    world.pipeline("p", &["ls -l /proc/self/fd"]);
    let server = world.serve();
    let _held = join_all((0..20).map(|_| TcpStream::connect(server.addr()))).await;
    let id = server.start(&world, "p").await;
    server.until_status(&id, "completed").await;
    let log = server.get(&format!("/api/v1/runs/{id}/log")).await.text().await.unwrap();
    // Its input, its outputs, and the folder that `ls` reads.
    assert_eq!(log.lines().filter(|line| line.contains("->")).count(), 4, "{log}");
    assert!(!log.contains("socket:") && !log.contains("runtrail.db"), "{log}");
}

/// The variables that a refused file names as secrets stay hidden, also after a restart.
#[tokio::test]
async fn pipeline_file_errors_hide_secrets() {
    let world = World::new();
    let hook = "[hook]\nsecret_env = \"A_HOOKS_SECRET\"\n";
    world.toml("h", &format!("name = \"h\"\n[[phases]]\nname = \"a\"\nrun = \"true\"\n{hook}"));
    world.pipeline("p", &["env"]);
    let variables = [("A_HOOKS_SECRET", "a secret that only the forge knows")];
    let seen = async |server: &Server| {
        let id = server.start(&world, "p").await;
        server.until_status(&id, "completed").await;
        server.get(&format!("/api/v1/runs/{id}/log")).await.text().await.unwrap()
    };
    let server = world.serve_logged(&variables, &["--pass-env", "*"]);
    assert!(!seen(&server).await.contains("A_HOOKS_SECRET"));
    world.toml("h", &format!("name = \"h\"\nwrong = 1\n[[phases]]\nname = \"a\"\nrun = \"true\"\n{hook}"));
    until("the file is refused", async || {
        server.get_json("/fn/offer").await["faults"].to_string().contains("h.toml").then_some(())
    })
    .await;
    assert!(!seen(&server).await.contains("A_HOOKS_SECRET"));
    assert_eq!(server.terminate().await, Some(0));
    let server = world.serve_logged(&variables, &["--pass-env", "*"]);
    tokio::time::timeout(Duration::from_secs(60), async {
        assert!(!seen(&server).await.contains("A_HOOKS_SECRET"));
    })
    .await
    .unwrap();
}

/// What the linker can do against memory errors: position-independent code, and relocations that are read-only from the
/// start.
#[test]
fn program_is_hardened() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_runtrail")).unwrap();
    let at = |offset: usize, size: usize| {
        let bytes = program.get(offset..offset + size).unwrap();
        bytes.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let index = |number: u64| usize::try_from(number).unwrap();
    // ELF-64, little-endian; the numbers are those of the System V ABI.
    assert_eq!((&program[..4], program[4], program[5]), (&b"\x7fELF"[..], 2, 1));
    assert_eq!(at(16, 2), 3, "ET_DYN: position independent");
    let (table, size, count) = (index(at(32, 8)), index(at(54, 2)), index(at(56, 2)));
    let headers: Vec<usize> = (0..count).map(|number| table + number * size).collect();
    assert!(headers.iter().any(|header| at(*header, 4) == 0x6474_e552), "GNU_RELRO");
    let stack = headers.iter().find(|header| at(**header, 4) == 0x6474_e551).expect("GNU_STACK");
    assert_eq!(at(stack + 4, 4) & 1, 0, "the stack is not executable");
    let dynamic = headers.iter().find(|header| at(**header, 4) == 2).expect("a dynamic section");
    let (from, length) = (index(at(dynamic + 8, 8)), index(at(dynamic + 32, 8)));
    let entries = (from..from + length).step_by(16).map(|entry| (at(entry, 8), at(entry + 8, 8)));
    assert!(entries.into_iter().any(|(tag, value)| tag == 0x6fff_fffb && value & 1 == 1), "FLAGS_1 has NOW");
}
