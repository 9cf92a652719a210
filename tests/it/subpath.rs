//! The server below a path of a host, behind real nginx and caddy with their usual settings, that take the path away or pass it on.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use hmac::{Hmac, Mac};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;

use crate::support::{Events, LIMIT, Server, World, steady_port, until};

const HOST: &str = "runs.example";
const SECRET: &str = "a secret that only the forge knows";

/// A proxy in front of a server. Ends when dropped.
struct Proxy {
    child: Child,
    _folder: TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a proxy is told to serve a server below `/rt`.
#[derive(Clone, Copy, Debug)]
enum Kind {
    NginxTakesAway,
    NginxPassesOn,
    /// As in a report: without a slash after the location, so that `/rt/x` becomes `//x`.
    NginxDoublesSlashes,
    CaddyTakesAway,
    CaddyPassesOn,
}

/// A program that `scripts/setup.sh test` gets.
fn program(variable: &str, name: &str, folder: &str) -> PathBuf {
    if let Some(named) = std::env::var_os(variable) {
        return named.into();
    }
    let path = std::env::var_os("PATH").unwrap();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(name));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| Path::new(&std::env::var_os("HOME").unwrap()).join(".cache"));
    let tools = std::env::var_os("RUNTRAIL_TOOLS").map_or_else(|| cache.join("runtrail/tools"), PathBuf::from);
    let unpacked = tools.join("proxies").join(folder).join(name);
    let found = on_path.chain([unpacked]).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not here: run `scripts/setup.sh test`"))
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::NginxTakesAway,
        Self::NginxPassesOn,
        Self::NginxDoublesSlashes,
        Self::CaddyTakesAway,
        Self::CaddyPassesOn,
    ];

    fn start(self, port: u16, server: SocketAddr) -> Proxy {
        let folder = tempfile::tempdir().unwrap();
        // Started by root, nginx's workers are another user, who keeps there what a client does not take fast enough.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let file = folder.path().join("proxy.conf");
        let nginx = |location: &str| {
            let folder = folder.path().display();
            let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
            let temp: String = temp.iter().map(|kind| format!("{kind}_temp_path {folder}/{kind}; ")).collect();
            format!(
                "daemon off; pid {folder}/pid; error_log {folder}/error.log;\nevents {{}}\n\
                 http {{ access_log off; {temp}\nserver {{ listen 127.0.0.1:{port};\n{location}\n}} }}\n"
            )
        };
        let caddy = |site: &str| format!("{{\nadmin off\nauto_https off\n}}\nhttp://{HOST}:{port} {{\n{site}\n}}\n");
        let text = match self {
            Self::NginxTakesAway => nginx(&format!("location /rt/ {{ proxy_pass http://{server}/; }}")),
            Self::NginxPassesOn => nginx(&format!("location /rt/ {{ proxy_pass http://{server}; }}")),
            Self::NginxDoublesSlashes => nginx(&format!("location /rt {{ proxy_pass http://{server}/; }}")),
            Self::CaddyTakesAway => caddy(&format!("handle_path /rt/* {{\nreverse_proxy {server}\n}}")),
            Self::CaddyPassesOn => caddy(&format!("reverse_proxy /rt/* {server}")),
        };
        std::fs::write(&file, text).unwrap();
        let mut command = match self {
            Self::NginxTakesAway | Self::NginxPassesOn | Self::NginxDoublesSlashes => {
                let mut nginx = Command::new(program("RUNTRAIL_TEST_NGINX", "nginx", "usr/sbin"));
                nginx.arg("-p").arg(folder.path()).arg("-e").arg(folder.path().join("first.log")).arg("-c").arg(&file);
                nginx
            }
            Self::CaddyTakesAway | Self::CaddyPassesOn => {
                let mut caddy = Command::new(program("RUNTRAIL_TEST_CADDY", "caddy", "usr/bin"));
                caddy.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file);
                caddy.env("HOME", folder.path()).env("XDG_DATA_HOME", folder.path());
                caddy
            }
        };
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Proxy { child, _folder: folder }
    }
}

/// A proxy, the server behind it, and a browser's stand-in that knows the proxy by its name.
struct Front {
    kind: Kind,
    _proxy: Proxy,
    server: Server,
    client: Client,
    origin: String,
}

impl Front {
    async fn open(world: &World, kind: Kind, flags: &[&str]) -> Self {
        let port = steady_port();
        let origin = format!("http://{HOST}:{port}");
        let public = format!("{origin}/rt");
        let server = world.serve_with(&[&["--public-url", &public], flags].concat());
        let proxy = kind.start(port, server.addr());
        let client = Client::builder()
            .resolve(HOST, SocketAddr::new(IpAddr::from([127, 0, 0, 1]), port))
            .redirect(Policy::none())
            .timeout(LIMIT)
            .build()
            .unwrap();
        let front = Self { kind, _proxy: proxy, server, client, origin };
        until("the proxy serves", async || {
            let answer = front.client.get(front.url("/rt/healthz")).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        front
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let answer = self.client.get(self.url(path)).header("accept", "text/html").send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// A page, of which every address is below the base path.
    async fn page(&self, path: &str, status: StatusCode) -> String {
        let (found, html) = self.get(path).await;
        assert_eq!(found, status, "{:?} {path}", self.kind);
        let astray: Vec<_> = addresses(&html).into_iter().filter(|address| !is_below(address)).collect();
        assert!(astray.is_empty(), "{:?} {path}: {astray:?}", self.kind);
        html
    }

    /// A form as a page sends it where no script runs. Where it leads.
    async fn send(&self, path: &str, form: &[(&str, &str)]) -> (StatusCode, String, reqwest::header::HeaderMap) {
        let request = self.client.post(self.url(path)).form(form);
        let request = request.header("origin", &self.origin).header("accept", "text/html");
        let answer = request.header("sec-fetch-site", "same-origin").send().await.unwrap();
        let location = answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        (answer.status(), location.unwrap_or_default(), answer.headers().clone())
    }
}

/// What a page leads to or loads that begins with a slash.
fn addresses(html: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for before in
        ["href=\"", "src=\"", "action=\"", "formaction=\"", "import(\"", "import('", "url=", "module_or_path: '"]
    {
        for part in html.split(before).skip(1) {
            let address: String = part.chars().take_while(|c| !"\"'<> ".contains(*c)).collect();
            if address.starts_with('/') {
                found.insert(address);
            }
        }
    }
    // In scripts, too.
    for part in html.split("/pkg/").collect::<Vec<_>>().windows(2) {
        let before = part[0].rsplit(['"', '\'', '`']).next().unwrap();
        found.insert(format!("{before}/pkg/"));
    }
    found
}

fn is_below(address: &str) -> bool {
    address.starts_with("/rt/") || address.starts_with("/rt?")
}

/// A pipeline that prints a line at a time, each when the one before was seen.
fn stepwise(world: &World) {
    world.pipeline(
        "steps",
        &["echo one; while [ ! -e two ]; do sleep 0.01; done; echo two; while [ ! -e three ]; do sleep 0.01; done; echo three"],
    );
}

#[tokio::test]
async fn subpath_works_behind_every_proxy() {
    for kind in Kind::ALL {
        let world = World::new();
        stepwise(&world);
        let front = Front::open(&world, kind, &[]).await;
        let server = &front.server;
        let home = front.page("/rt/", StatusCode::OK).await;
        assert!(home.contains("data-base=\"/rt\""), "the page's scripts learn it");
        assert!(addresses(&home).contains("/rt/pkg/"), "{:?}", addresses(&home));
        for file in ["/favicon.svg", "/pkg/runtrail.css", "/pkg/runtrail.js", "/pkg/runtrail.wasm"] {
            let through = front.client.get(front.url(&format!("/rt{file}"))).send().await.unwrap();
            let direct = server.get(file).await;
            let kind_of = |answer: &reqwest::Response| answer.headers()["content-type"].clone();
            assert_eq!((through.status(), kind_of(&through)), (direct.status(), kind_of(&direct)), "{kind:?} {file}");
            let (through, direct) = (through.bytes().await.unwrap(), direct.bytes().await.unwrap());
            assert!(through == direct || through.starts_with(b"{"), "{kind:?} {file}");
        }

        // A server function, and a form without scripts, whose answer leads to the run's page.
        let called = front.client.get(front.url("/rt/fn/list_runs")).header("accept", "application/json");
        let called = called.send().await.unwrap();
        assert_eq!(called.status(), StatusCode::OK, "{kind:?}");
        assert_eq!(called.json::<Value>().await.unwrap()["runs"], json!([]));
        let project = world.project().display().to_string();
        let form = [("pipeline", "steps"), ("params[project]", &project)];
        let (status, location, _) = front.send("/rt/fn/start_run", &form).await;
        assert_eq!(status, StatusCode::FOUND, "{kind:?}");
        let id =
            location.strip_prefix("/rt/runs/").unwrap_or_else(|| panic!("{kind:?} leads to {location}")).to_owned();

        // Each frame comes before the next one is made.
        for path in [format!("/rt/runs/{id}/events"), format!("/rt/events?run={id}:0&list=1")] {
            let mut events = Events::of(front.client.get(front.url(&path)).send().await.unwrap(), &path);
            let until_line = async |events: &mut Events, line: &str| loop {
                let event = events.next().await.expect("the stream goes on");
                if event.event == "message" && event.data.contains(&format!("\"line\":\"{line}\"")) {
                    break;
                }
            };
            until_line(&mut events, "one").await;
            if !path.contains("list=1") {
                std::fs::write(world.file("two"), "").unwrap();
            }
            until_line(&mut events, "two").await;
        }
        front.page(&format!("/rt/runs/{id}"), StatusCode::OK).await;
        std::fs::write(world.file("three"), "").unwrap();
        server.until_status(&id, "completed").await;

        // The JSON API.
        let body = json!({ "pipeline": "steps", "params": { "project": project } });
        let made = front.client.post(front.url("/rt/api/v1/runs")).json(&body).send().await.unwrap();
        assert_eq!(made.status(), StatusCode::CREATED);
        let location = made.headers()["location"].to_str().unwrap().to_owned();
        assert!(location.starts_with("/rt/api/v1/runs/"), "{kind:?} {location}");
        let (status, run) = front.get(&location).await;
        assert_eq!(
            (status, &serde_json::from_str::<Value>(&run).unwrap()["pipeline"]),
            (StatusCode::OK, &json!("steps"))
        );

        // Both ways at once: whoever is on the machine may leave the path out.
        assert_eq!(server.get(&format!("/runs/{id}")).await.status(), StatusCode::OK);
        assert_eq!(server.get(&format!("/rt/runs/{id}")).await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn subpath_login_and_hooks_work_behind_every_proxy() {
    for kind in Kind::ALL {
        let world = World::new();
        std::fs::write(world.data().join("secret"), SECRET).unwrap();
        world.toml(
            "hooked",
            &format!(
                "name = \"hooked\"\n[[phases]]\nname = \"a\"\nrun = 'echo here'\n[hook]\nsecret_file = \"{}\"\n",
                world.data().join("secret").display()
            ),
        );
        let front = Front::open(&world, kind, &["--token", "a token that is long enough"]).await;
        let asked = front.client.get(front.url("/rt/?q=x")).header("accept", "text/html").send().await.unwrap();
        assert_eq!(asked.status(), StatusCode::SEE_OTHER, "{kind:?}");
        let login = asked.headers()["location"].to_str().unwrap().to_owned();
        assert!(login.starts_with("/rt/login?next="), "{kind:?} {login}");
        let form = front.page(&login, StatusCode::OK).await;
        assert!(form.contains("action=\"/rt/login\"") && form.contains("value=\"/?q=x\""), "{form}");

        let filled = [("token", "a token that is long enough"), ("next", "/?q=x")];
        let (status, location, headers) = front.send("/rt/login", &filled).await;
        assert_eq!((status, location.as_str()), (StatusCode::SEE_OTHER, "/rt/?q=x"), "{kind:?}");
        let cookie = headers["set-cookie"].to_str().unwrap();
        assert!(cookie.contains("; Path=/rt;") && cookie.starts_with("runtrail_session_rt="), "{cookie}");
        let cookie = cookie.split(';').next().unwrap();
        // The cookie of another server at the root of the host comes along, and is no guess at this one's.
        let both = format!("runtrail_session=other; {cookie}");
        let home = front.client.get(front.url("/rt/")).header("cookie", both).send().await.unwrap();
        assert_eq!(home.status(), StatusCode::OK, "{kind:?}");
        let away = front.client.post(front.url("/rt/logout")).header("cookie", cookie).send().await.unwrap();
        assert_eq!(away.headers()["location"], "/rt/login");

        let body = r#"{"ref": "refs/heads/main"}"#;
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let call = front.client.post(front.url("/rt/api/v1/hooks/hooked")).body(body);
        let call = call.header("x-github-event", "push").header("x-hub-signature-256", format!("sha256={signature}"));
        let made = call.send().await.unwrap();
        assert_eq!(made.status(), StatusCode::CREATED, "{kind:?}");
        assert!(made.headers()["location"].to_str().unwrap().starts_with("/rt/api/v1/runs/"));
    }
}

/// Pages in all their states, so that no part of one leads away from the base path.
#[tokio::test]
async fn subpath_links_stay_below_it() {
    let world = World::new();
    world.toml(
        "asks",
        "name = \"asks\"\n[[phases]]\nname = \"find\"\nrun = '''\n\
         printf '%s\\n' '::frame {\"kind\":\"finding\",\"path\":\"a.rs\",\"line\":7,\"rule\":\"r\",\"severity\":\"error\",\"message\":\"m\"}'\n\
         printf '%s\\n' '::frame {\"kind\":\"patch\",\"path\":\"a.rs\",\"diff\":\"--- a/a.rs\\n+++ b/a.rs\\n@@ -7 +7 @@\\n-a\\n+b\\n\",\"added\":1,\"removed\":1}'\n\
         '''\n[[phases]]\nname = \"apply\"\nrun = 'true'\napproval = true\n",
    );
    world.toml(
        "held",
        "name = \"held\"\nconcurrency = \"per pipeline\"\n[[phases]]\nname = \"a\"\nrun = 'sleep 1000'\n",
    );
    let front = Front::open(&world, Kind::NginxPassesOn, &[]).await;
    front.page("/rt/", StatusCode::OK).await;
    let start = async |pipeline: &str| {
        let answer = front.server.post("/api/v1/runs", json!({ "pipeline": pipeline })).await;
        answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
    };
    let asks = start("asks").await;
    front.server.until_asked(&asks).await;
    let (first, second) = (start("held").await, start("held").await);
    front.server.until_status(&first, "running").await;
    for path in ["/rt/", "/rt/?q=nothing+like+it", "/rt/?status=pending"] {
        front.page(path, StatusCode::OK).await;
    }
    for path in ["", "?tab=findings", "?tab=changes"] {
        front.page(&format!("/rt/runs/{asks}{path}"), StatusCode::OK).await;
    }
    for run in [&first, &second] {
        front.page(&format!("/rt/runs/{run}"), StatusCode::OK).await;
    }
    let answer = front.server.post(&format!("/api/v1/runs/{asks}/reject"), json!({})).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    front.server.until_status(&asks, "cancelled").await;
    front.page(&format!("/rt/runs/{asks}?edit=1"), StatusCode::OK).await;
    let answer = front.server.post(&format!("/api/v1/runs/{asks}/rerun"), json!({ "from": "start" })).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    front.server.until_asked(&asks).await;
    for path in ["", "?attempt=1", "?attempt=1&tab=findings", "/compare"] {
        front.page(&format!("/rt/runs/{asks}{path}"), StatusCode::OK).await;
    }
    front.page("/rt/runs/nonsense", StatusCode::NOT_FOUND).await;
    front.page("/rt/nowhere", StatusCode::NOT_FOUND).await;
}

/// What the browser builds itself is made below the base path, too: no address in the page's source begins at the root.
#[test]
fn subpath_addresses_in_source_use_base_path() {
    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                found.push(path);
            }
        }
    }
    let mut files = Vec::new();
    for folder in ["src/ui", "src/browser"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
    }
    let mut astray = Vec::new();
    let mut through = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        // The router's own links and addresses are joined with the base path by it: so two ways would be mixed up.
        if text.contains("leptos_router::components::A;") || text.contains("<A ") {
            astray.push(format!("{}: <A>", file.display()));
        }
        for (at, _) in text.match_indices("\"/") {
            let line = text[text[..at].rfind('\n').map_or(0, |start| start + 1)..].lines().next().unwrap();
            let next = text[at + 2..].chars().next().unwrap();
            if line.trim_start().starts_with("//") || !(next.is_ascii_lowercase() || "\"?{".contains(next)) {
                continue;
            }
            let before: String = text[..at].chars().filter(|c| !c.is_whitespace()).collect();
            if before.ends_with("base::path(") || before.ends_with("base::path(&format!(") {
                through += 1;
            } else {
                astray.push(format!("{}: {}", file.display(), line.trim()));
            }
        }
        for (at, _) in text.match_indices("::url()") {
            let before = &text[..at];
            let name = before.rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
            if before[..name].ends_with("base::path(") {
                through += 1;
            } else {
                astray.push(format!("{}: a form's action", file.display()));
            }
        }
    }
    assert!(astray.is_empty(), "{}", astray.join("\n"));
    assert!(through > 20, "{through} addresses");
}

/// What cannot be served is refused at the start, with the reason.
#[test]
fn public_url_that_cannot_be_served_is_refused() {
    for (url, word) in
        [("https://h.example/a//b", "part"), ("https://h.example/a%20b", "part"), ("https://h/api", "/api")]
    {
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_runtrail"))
            .args(["serve", "--addr", "127.0.0.1:0", "--public-url", url, "--data-dir"])
            .arg(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(word), "{url}: {said}");
    }
}
