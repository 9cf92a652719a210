//! Notifications: sent once a run's end is committed, signed, retried, journaled, and lost by no crash.

mod failures;
mod rules;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

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

/// What a receiver answers.
#[derive(Clone, Copy, Debug)]
enum Reply {
    Status(u16),
    /// Busy for so many seconds.
    Later(u16, u32),
    /// A redirect.
    Moved,
    /// Nothing, ever.
    Silence,
}

/// A real HTTP server that takes deliveries.
#[derive(Clone)]
struct Receiver {
    port: u16,
    state: Arc<Mutex<(Vec<Got>, Vec<Reply>)>>,
}

impl Receiver {
    /// One that gives these answers in turn, the last of them again and again.
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

    /// Waits until it has got so many.
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

/// Waits until the run's journal has so many notifications.
async fn until_journaled(server: &Server, id: &str, count: usize) -> Vec<Value> {
    until(&format!("{count} notifications of {id} are journaled"), async || {
        Some(notifications(server, id).await).filter(|found| found.len() >= count)
    })
    .await
}

/// How many tries have ended so, by the server's own count.
async fn tries_that(server: &Server, outcome: &str) -> usize {
    let metrics = server.get("/metrics").await.text().await.unwrap();
    let name = format!("runtrail_deliveries_total{{outcome=\"{outcome}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
}

/// How many deliveries wait.
fn outbox(world: &World) -> i64 {
    count(world, "deliveries")
}

fn count(world: &World, what: &str) -> i64 {
    world.database().number(&format!("SELECT count(*) FROM {what}"))
}

const WAIT_FOR_GO: &str = "cd $RUNTRAIL_PARAM_PROJECT; while [ ! -e go ]; do sleep 0.02; done";

#[tokio::test]
async fn notification_is_signed_journaled_and_secret_free() {
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
    assert_signed(&got, key, &secret);
    let body = got.json();
    assert_describes(&body, &id, &run);

    let other = hidden.until(1).await.remove(0);
    assert_eq!(other.uri.path(), "/services/PATHX");
    assert_eq!((other.header("webhook-signature"), other.header("x-hub-signature-256")), ("", ""), "it has no secret");
    assert_ne!(other.header("webhook-id"), got.header("webhook-id"));

    let frames = until_journaled(&server, &id, 2).await;
    assert_delivered(&frames, [plain.url("/…"), hidden.url("/…")]);
    assert_follow_the_end(&server, &world, &id, &run, &body["run"]["head"]).await;

    // They are counted a moment after they are journaled.
    until("they are counted", async || (tries_that(&server, "delivered").await == 2).then_some(())).await;
    assert_eq!((tries_that(&server, "retrying").await, tries_that(&server, "failed").await), (0, 0));
    assert_shows_none_of(&server, &world, &id, &["PASSWORDX", "QUERYX", "PATHX", &secret]).await;
}

/// The signatures of Standard Webhooks and of GitHub.
fn assert_signed(got: &Got, key: &[u8], secret: &str) {
    assert_eq!((got.uri.to_string().as_str(), got.header("content-type")), ("/hook?key=QUERYX", "application/json"));
    let (message, at) = (got.header("webhook-id"), got.header("webhook-timestamp"));
    assert!(message.starts_with("msg_") && !message.contains('.'), "{message}");
    let now = i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    assert!((now - at.parse::<i64>().unwrap()).abs() < 60);
    let signed = format!("v1,{}", STANDARD.encode(mac(key, &format!("{message}.{at}.{}", got.body))));
    assert_eq!(got.header("webhook-signature"), signed);
    let hub: String = mac(secret.as_bytes(), &got.body).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(got.header("x-hub-signature-256"), format!("sha256={hub}"));
}

/// The run as the API had it at that moment; its head has grown since by the notifications' own frames.
fn assert_describes(body: &Value, id: &str, run: &Value) {
    assert_eq!(
        (&body["event"], &body["attempt"], &body["status"]),
        (&json!("run.finished"), &json!(1), &json!("failed"))
    );
    assert_eq!(body["url"], format!("https://ci.example/runs/{id}"));
    let text = body["text"].as_str().unwrap();
    assert!(text.starts_with("The bad one failed") && text.contains("exit code 3") && text.contains(id), "{text}");
    let told = body["run"].as_object().unwrap();
    for (name, value) in run.as_object().unwrap().iter().filter(|(name, _)| *name != "head") {
        assert_eq!(told.get(name), Some(value), "{name}");
    }
}

/// One delivery to each receiver, at the first attempt. Their addresses are shown without paths.
fn assert_delivered(frames: &[Value], mut expected: [String; 2]) {
    let mut urls: Vec<_> = frames.iter().map(|frame| frame["data"]["url"].as_str().unwrap()).collect();
    urls.sort_unstable();
    expected.sort_unstable();
    assert_eq!(urls, expected);
    for frame in frames {
        let data = &frame["data"];
        assert_eq!(
            (&data["state"], &data["try"], &data["event"]),
            (&json!("delivered"), &json!(1), &json!("run.finished"))
        );
        assert_eq!((&data["error"], &data["next_ms"], &frame["attempt"]), (&Value::Null, &Value::Null, &json!(1)));
    }
}

/// Frames of notifications follow the end of the run and change nothing about it.
async fn assert_follow_the_end(server: &Server, world: &World, id: &str, run: &Value, told_head: &Value) {
    let all = server.frames(id).await;
    let end = all.iter().position(|frame| frame["kind"] == "status" && frame["data"]["to"] == "failed").unwrap();
    assert_eq!(*told_head, all[end]["seq"]);
    assert!(all[end + 1..].iter().all(|frame| frame["kind"] == "notification") && all.len() == end + 3);
    let after = server.run(id).await;
    assert_eq!((&after["status"], &after["finished_at"]), (&run["status"], &run["finished_at"]));
    assert_eq!(outbox(world), 0, "delivered notifications leave the outbox");
    // A reader that has everything gets 204; one that had the end gets the rest, and then the end again.
    let head = all.len();
    assert_eq!(server.get(&format!("/runs/{id}/events?after={head}")).await.status(), StatusCode::NO_CONTENT);
    let stream = server.get(&format!("/runs/{id}/events?after={}", end + 1)).await.text().await.unwrap();
    assert!(stream.contains("\"notification\"") && stream.contains(&format!("\"head\":{head}")), "{stream}");
    assert!(stream.contains("event: end"), "{stream}");
}

/// Neither frames nor pages nor the server's log have these texts.
async fn assert_shows_none_of(server: &Server, world: &World, id: &str, secrets: &[&str]) {
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

#[tokio::test]
async fn notification_follows_the_receivers_events() {
    let world = World::new();
    let all = Receiver::with(&[Reply::Status(200)]).await;
    let some = Receiver::with(&[Reply::Status(200)]).await;
    let receivers =
        [receiver(&all.url("/all"), ""), receiver(&some.url("/some"), "on = [\"waiting\", \"cancelled\"]")].concat();
    pipeline(&world, "well", "true", &receivers);
    pipeline(&world, "asks", "true", &receivers);
    let asks = std::fs::read_to_string(world.file("../pipelines/asks.toml")).unwrap();
    world.toml("asks", &asks.replace("name = \"only\"", "name = \"only\"\napproval = true\nquestion = \"Sure?\""));
    pipeline(&world, "long", "sleep 1000", "");
    let server = world.serve_with(&["--workers", "1"]);

    let well = server.start(&world, "well").await;
    until_journaled(&server, &well, 1).await;
    assert_eq!((all.got().len(), some.got().len()), (1, 0));

    let asked = server.start(&world, "asks").await;
    server.until_awaiting_approval(&asked).await;
    let told = some.until(1).await.remove(0).json();
    assert_eq!((&told["event"], &told["status"]), (&json!("run.waiting"), &json!("running")));
    assert_eq!(told["run"]["approval"]["question"], "Sure?");
    assert_eq!(told["text"], "The asks one needs approval: Sure?");
    assert_eq!(until_journaled(&server, &asked, 1).await[0]["data"]["event"], "run.waiting");
    assert_eq!(all.got().len(), 1, "a question is told to who asked for it");
    // The question can still be answered, though the journal has grown behind it.
    let rejected = server.post(&format!("/api/v1/runs/{asked}/reject"), json!({})).await;
    assert_eq!(rejected.status(), StatusCode::ACCEPTED, "{}", rejected.text().await.unwrap());
    server.until_status(&asked, "cancelled").await;
    assert_eq!(until_journaled(&server, &asked, 3).await.len(), 3);
    assert_eq!((all.got().len(), some.got().len()), (2, 2));

    // A run that no worker claimed.
    let busy = server.start(&world, "long").await;
    server.until_status(&busy, "running").await;
    let waits = server.start(&world, "well").await;
    server.post(&format!("/api/v1/runs/{waits}/cancel"), json!({})).await;
    server.until_status(&waits, "cancelled").await;
    assert_eq!(until_journaled(&server, &waits, 2).await.len(), 2);
    let told = some.got().last().unwrap().json();
    assert_eq!((&told["status"], &told["run"]["id"]), (&json!("cancelled"), &json!(waits)));
    assert!(notifications(&server, &busy).await.is_empty());
}

#[tokio::test]
async fn notification_is_retried_only_if_useful() {
    let world = World::new();
    let busy = Receiver::with(&[Reply::Later(503, 3), Reply::Status(200)]).await;
    let gone = Receiver::with(&[Reply::Status(410)]).await;
    let moved = Receiver::with(&[Reply::Moved]).await;
    // Nothing listens there, and nothing else can.
    let taken = tokio::net::TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let silent = taken.local_addr().unwrap().port();
    let unsigned = Receiver::with(&[Reply::Status(200)]).await;
    // As the journal shows them.
    let [busy_one, gone_one, moved_one, unsigned_one] = [&busy, &gone, &moved, &unsigned].map(|one| one.url("/…"));
    let away_one = format!("http://127.0.0.1:{silent}/…");
    let receivers = [
        receiver(&busy.url("/busy"), ""),
        receiver(&gone.url("/gone"), ""),
        receiver(&moved.url("/moved"), ""),
        receiver(&format!("http://127.0.0.1:{silent}/away"), ""),
        receiver(&unsigned.url("/unsigned"), "secret_env = \"NOT_SET_ANYWHERE\""),
    ];
    pipeline(&world, "p", "true", &receivers.concat());
    let server = world.serve();
    let id = server.start(&world, "p").await;
    server.until_status(&id, "completed").await;
    let to = |frame: &Value, url: &str| frame["data"]["url"] == url;
    let frames = until("the busy one has it, and all others were tried", async || {
        let frames = notifications(&server, &id).await;
        let delivered = frames.iter().any(|frame| frame["data"]["state"] == "delivered");
        let tried = |url: &&String| frames.iter().any(|frame| to(frame, url));
        (delivered && [&gone_one, &moved_one, &away_one, &unsigned_one].iter().all(tried)).then_some(frames)
    })
    .await;
    let of = |url: &str| {
        let with = frames.iter().filter(|frame| to(frame, url));
        with.map(|frame| &frame["data"]).collect::<Vec<_>>()
    };
    let [first, second] = of(&busy_one)[..] else { panic!("{frames:?}") };
    assert_eq!((&first["state"], &first["status"], &first["try"]), (&json!("retrying"), &json!(503), &json!(1)));
    assert_eq!((&first["next_ms"], &first["error"]), (&json!(3000), &json!("it answered 503 Service Unavailable")));
    assert_eq!((&second["state"], &second["status"], &second["try"]), (&json!("delivered"), &json!(200), &json!(2)));
    let [tried, again] = &busy.got()[..] else { panic!("{:?}", busy.got()) };
    assert_eq!(tried.header("webhook-id"), again.header("webhook-id"));
    assert_eq!(tried.body, again.body);
    assert!(tried.header("webhook-timestamp") < again.header("webhook-timestamp"));

    for (url, error) in [
        (&gone_one, "it answered 410 Gone"),
        (&moved_one, "it answered 302 Found: redirects are not followed; name the address itself"),
        (&unsigned_one, "the server has no variable $NOT_SET_ANYWHERE: set it where the server is started"),
    ] {
        let [only] = of(url)[..] else { panic!("{url}: {frames:?}") };
        assert_eq!((&only["state"], &only["error"], &only["next_ms"]), (&json!("failed"), &json!(error), &Value::Null));
    }
    assert_eq!(gone.got().len(), 1);
    assert!(moved.got().iter().all(|got| got.uri.path() == "/moved"));
    let away = of(&away_one)[0];
    assert_eq!((&away["state"], &away["status"]), (&json!("retrying"), &Value::Null));
    assert!(away["error"].as_str().unwrap().starts_with("it cannot be reached: "), "{away}");
    assert!((1600..=2400).contains(&away["next_ms"].as_u64().unwrap()), "{away}");
    assert_eq!(outbox(&world), 1, "the one that is away");
}
