//! Notifications: signed, retried, journaled, and not lost by a crash.

mod failures;
mod receivers;

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{Server, World, until};

/// A request that a receiver got.
#[derive(Clone, Debug)]
struct Got {
    uri: Uri,
    headers: HeaderMap,
    body: String,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A receiver's response.
#[derive(Clone, Copy, Debug)]
enum Reply {
    Status(u16),
    /// The status, with `Retry-After` in seconds.
    Later(u16, u32),
    /// A redirect.
    Moved,
    /// No response, ever.
    Silence,
}

/// A real HTTP server that receives notifications.
#[derive(Clone)]
struct Receiver {
    port: u16,
    state: Arc<Mutex<(Vec<Got>, Vec<Reply>)>>,
}

impl Receiver {
    /// A receiver with these responses in turn; the last one is repeated.
    async fn with(replies: &[Reply]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let receiver = Self { port, state: Arc::new(Mutex::new((Vec::new(), replies.to_vec()))) };
        let router = axum::Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    fn url(&self, rest: &str) -> String {
        format!("http://127.0.0.1:{}{rest}", self.port)
    }

    fn got(&self) -> Vec<Got> {
        self.state.lock().unwrap().0.clone()
    }

    fn answers(&self, reply: Reply) {
        self.state.lock().unwrap().1 = vec![reply];
    }

    /// Waits until it has got this many requests.
    async fn until(&self, count: usize) -> Vec<Got> {
        let what = format!("{count} deliveries have come");
        until(&what, async || Some(self.got()).filter(|got| got.len() >= count)).await
    }
}

async fn take(State(receiver): State<Receiver>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let reply = {
        let mut state = receiver.state.lock().unwrap();
        state.0.push(Got { uri, headers, body: String::from_utf8(body.to_vec()).unwrap() });
        if state.1.len() > 1 { state.1.remove(0) } else { state.1[0] }
    };
    match reply {
        Reply::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Reply::Later(status, seconds) => {
            (StatusCode::from_u16(status).unwrap(), [("retry-after", seconds.to_string())]).into_response()
        }
        Reply::Moved => (StatusCode::FOUND, [("location", "/elsewhere")]).into_response(),
        Reply::Silence => std::future::pending().await,
    }
}

/// A pipeline of one phase with these receivers.
fn pipeline(world: &World, name: &str, command: &str, receivers: &str) {
    let params = "[[params]]\nname = \"project\"\ntype = \"path\"\n";
    let phase = format!("[[phases]]\nname = \"only\"\nrun = '''\n{command}\n'''\n");
    world.toml(name, &format!("name = \"{name}\"\ntitle = \"The {name} one\"\n{params}{phase}{receivers}"));
}

fn receiver(url: &str, more: &str) -> String {
    format!("[[notify]]\nurl = \"{url}\"\n{more}\n")
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

async fn notifications(server: &Server, id: &str) -> Vec<Value> {
    server.frames(id).await.into_iter().filter(|frame| frame["kind"] == "notification").collect()
}

/// Waits until the run's journal contains this many notifications.
async fn until_journaled(server: &Server, id: &str, count: usize) -> Vec<Value> {
    until(&format!("{count} notifications of {id} are journaled"), async || {
        Some(notifications(server, id).await).filter(|found| found.len() >= count)
    })
    .await
}

/// How many sends had this outcome, by the server's metrics.
async fn tries_that(server: &Server, outcome: &str) -> usize {
    let metrics = server.get("/metrics").await.text().await.unwrap();
    let name = format!("runtrail_deliveries_total{{outcome=\"{outcome}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
}

/// The number of notifications in the outbox.
fn outbox(world: &World) -> i64 {
    count(world, "deliveries")
}

fn count(world: &World, what: &str) -> i64 {
    let database = rusqlite::Connection::open(world.data().join("runtrail.db")).unwrap();
    database.query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get(0)).unwrap()
}

/// Checks both signatures of a request.
fn assert_signed(got: &Got, key: &[u8], secret: &str) {
    let (message, at) = (got.header("webhook-id"), got.header("webhook-timestamp"));
    assert!(message.starts_with("msg_") && !message.contains('.'), "{message}");
    let now = i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    assert!((now - at.parse::<i64>().unwrap()).abs() < 60);
    let signed = format!("v1,{}", STANDARD.encode(mac(key, &format!("{message}.{at}.{}", got.body))));
    assert_eq!(got.header("webhook-signature"), signed);
    let hub: String = mac(secret.as_bytes(), &got.body).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(got.header("x-hub-signature-256"), format!("sha256={hub}"));
}

/// Checks that no journal, page or log contains one of these secrets.
async fn assert_not_shown(world: &World, server: &Server, id: &str, secrets: &[&str]) {
    let mut shown = serde_json::to_string(&server.frames(id).await).unwrap();
    for path in ["/api/v1/pipelines", "/api/v1/runs", "/", &format!("/runs/{id}"), &format!("/api/v1/runs/{id}/log")] {
        shown.push_str(&server.get(path).await.text().await.unwrap());
    }
    assert!(shown.contains("RUNTRAIL_RUN_ID"), "the command has printed its variables");
    shown.push_str(&world.log());
    assert!(shown.contains("TRACE"), "all is logged");
    for secret in secrets {
        assert!(!shown.contains(secret), "{secret} is shown");
    }
}

const WAIT_FOR_GO: &str = "cd $RUNTRAIL_PARAM_PROJECT; while [ ! -e go ]; do sleep 0.02; done";

#[tokio::test]
async fn notification_is_signed_and_journaled_without_secrets() {
    let world = World::new();
    let (plain, hidden) = (Receiver::with(&[Reply::Status(200)]).await, Receiver::with(&[Reply::Status(204)]).await);
    let first = format!("http://me:PASSWORDX@127.0.0.1:{}/hook?key=QUERYX", plain.port);
    let receivers = [
        receiver(&first, "secret_env = \"NOTIFY_SECRET\""),
        "[[notify]]\nurl_env = \"NOTIFY_HOOK\"\non = [\"failed\"]\n".to_owned(),
    ];
    pipeline(&world, "bad", "env; exit 3", &receivers.concat());
    let key = b"a key of the receiver's own";
    let secret = format!("whsec_{}", STANDARD.encode(key));
    let hook = hidden.url("/services/PATHX");
    let variables = [("NOTIFY_SECRET", secret.as_str()), ("NOTIFY_HOOK", &hook), ("RUNTRAIL_LOG", "trace")];
    let server = world.serve_logged(&variables, &["--public-url", "https://ci.example/", "--pass-env", "*"]);
    let id = server.start(&world, "bad").await;
    let run = server.until_status(&id, "failed").await;

    let got = plain.until(1).await.remove(0);
    assert_eq!((got.uri.to_string().as_str(), got.header("content-type")), ("/hook?key=QUERYX", "application/json"));
    assert_signed(&got, key, &secret);

    let body = got.json();
    assert_eq!(
        (&body["event"], &body["attempt"], &body["status"]),
        (&json!("run.finished"), &json!(1), &json!("failed"))
    );
    assert_eq!(body["url"], format!("https://ci.example/runs/{id}"));
    let text = body["text"].as_str().unwrap();
    assert!(text.starts_with("The bad one failed") && text.contains("exit code 3") && text.contains(&id), "{text}");
    // The run as the API showed it then, except for the head, which grows with the notification's frame.
    let told = body["run"].as_object().unwrap();
    for (name, value) in run.as_object().unwrap().iter().filter(|(name, _)| *name != "head") {
        assert_eq!(told.get(name), Some(value), "{name}");
    }

    let other = hidden.until(1).await.remove(0);
    assert_eq!(other.uri.path(), "/services/PATHX");
    assert_eq!((other.header("webhook-signature"), other.header("x-hub-signature-256")), ("", ""), "it has no secret");
    assert_ne!(other.header("webhook-id"), got.header("webhook-id"));

    let frames = until_journaled(&server, &id, 2).await;
    let mut urls: Vec<_> = frames.iter().map(|frame| frame["data"]["url"].as_str().unwrap()).collect();
    urls.sort_unstable();
    let mut expected = [plain.url("/…"), hidden.url("/…")];
    expected.sort_unstable();
    assert_eq!(urls, expected);
    for frame in &frames {
        let data = &frame["data"];
        assert_eq!(
            (&data["state"], &data["try"], &data["event"]),
            (&json!("delivered"), &json!(1), &json!("run.finished"))
        );
        assert_eq!((&data["error"], &data["next_ms"], &frame["attempt"]), (&Value::Null, &Value::Null, &json!(1)));
    }
    // The frames come after the end, which stays as it was.
    let all = server.frames(&id).await;
    let end = all.iter().position(|frame| frame["kind"] == "status" && frame["data"]["to"] == "failed").unwrap();
    assert_eq!(told["head"], all[end]["seq"]);
    assert!(all[end + 1..].iter().all(|frame| frame["kind"] == "notification") && all.len() == end + 3);
    let after = server.run(&id).await;
    assert_eq!((&after["status"], &after["finished_at"]), (&run["status"], &run["finished_at"]));
    assert_eq!(outbox(&world), 0, "what is delivered waits no more");
    // A reader that has everything gets 204; one that had the end gets the rest and the end again.
    let head = all.len();
    assert_eq!(server.get(&format!("/runs/{id}/events?after={head}")).await.status(), StatusCode::NO_CONTENT);
    let stream = server.get(&format!("/runs/{id}/events?after={}", end + 1)).await.text().await.unwrap();
    assert!(stream.contains("\"notification\"") && stream.contains(&format!("\"head\":{head}")), "{stream}");
    assert!(stream.contains("event: end"), "{stream}");

    // The metrics follow the journal after a moment.
    until("they are counted", async || (tries_that(&server, "delivered").await == 2).then_some(())).await;
    assert_eq!((tries_that(&server, "retrying").await, tries_that(&server, "failed").await), (0, 0));
    assert_not_shown(&world, &server, &id, &["PASSWORDX", "QUERYX", "PATHX", &secret]).await;
}
