//! The server below a path of a host, behind real nginx and caddy with their usual settings, which strip the path or
//! pass it on.

mod addresses;

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

use crate::support::{Events, LIMIT, Server, World, programs, steady_port, until};

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

/// Configurations that serve Runtrail below `/rt`.
#[derive(Clone, Copy, Debug)]
enum Kind {
    NginxTakesAway,
    NginxPassesOn,
    /// As in a report: without a slash after the location, so that `/rt/x` becomes `//x`.
    NginxDoublesSlashes,
    CaddyTakesAway,
    CaddyPassesOn,
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
        // Workers of an nginx started by root run as another user, who buffers slow responses there.
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
                let mut nginx = Command::new(programs::nginx());
                nginx.arg("-p").arg(folder.path()).arg("-e").arg(folder.path().join("first.log")).arg("-c").arg(&file);
                nginx
            }
            Self::CaddyTakesAway | Self::CaddyPassesOn => {
                let mut caddy = Command::new(programs::caddy());
                caddy.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file);
                caddy.env("HOME", folder.path()).env("XDG_DATA_HOME", folder.path());
                caddy
            }
        };
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Proxy { child, _folder: folder }
    }
}

/// A proxy, the server behind it, and a client that reaches the proxy by its name.
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

/// Links and resources of a page that begin with a slash.
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

        // Each frame arrives before the next one is printed.
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

        // Directly, with and without the path.
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
        // The cookie of another server at the root of the host is sent too, and does not count as a failed attempt.
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
