//! `deploy/proxy` in front of two instances.

use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::read;
use crate::support::{Events, LIMIT, Server, World, programs, steady_port, until};

const HOST: &str = "runs.example";
const TOKEN: &str = "a token that is long enough";

/// A hook's delivery that is larger than nginx takes unless it is told to.
const DELIVERY_BYTES: usize = 2 << 20;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Nginx,
    Caddy,
}

/// What two instances have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shared {
    /// Each has a SQLite database of its own, and so its own runs.
    Nothing,
}

/// Two instances. The pipelines and the project are the same.
struct Instances {
    servers: Vec<Server>,
    shared: Shared,
}

impl Instances {
    fn on_sqlite(world: &World, flags: &[&str]) -> Self {
        let servers = ["first", "second"].map(|name| world.serve_on(&world.file(name), flags));
        Self { servers: servers.into(), shared: Shared::Nothing }
    }

    /// The indices of the instances that know the run.
    async fn knowing(&self, id: &str) -> Vec<usize> {
        let mut knowing = Vec::new();
        for (index, server) in self.servers.iter().enumerate() {
            let url = format!("{}/api/v1/runs/{id}", server.url);
            let answer = server.client.get(url).bearer_auth(TOKEN).send().await.unwrap();
            if answer.status() == StatusCode::OK {
                knowing.push(index);
            }
        }
        knowing
    }
}

/// A proxy with the configuration of `deploy/proxy`. Ends when dropped.
struct Proxy {
    child: Child,
    folder: TempDir,
    port: u16,
    plain_port: u16,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a certificate and its key in a folder: `certificate.pem`, `key.pem`.
fn make_certificate(folder: &Path) {
    let settings = format!(
        "[req]\nprompt = no\ndistinguished_name = name\nx509_extensions = extensions\n[name]\nCN = {HOST}\n\
         [extensions]\nsubjectAltName = DNS:{HOST}\nbasicConstraints = critical, CA:FALSE\n"
    );
    std::fs::write(folder.join("settings"), settings).unwrap();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-config", "settings", "-out", "certificate.pem", "-keyout", "key.pem"])
        .current_dir(folder)
        .output()
        .expect("openssl is here: `scripts/setup.sh test` gets it");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// The text with each of these exchanged.
///
/// # Panics
/// One is not there.
fn exchange(text: &str, parts: &[(&str, &str)]) -> String {
    parts.iter().fold(text.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "the configuration has no `{old}`");
        text.replace(old, new)
    })
}

impl Proxy {
    fn start(kind: Kind, port: u16, instances: [SocketAddr; 2]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Workers of an nginx started by root run as another user, who buffers request bodies there.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        make_certificate(folder.path());
        let plain_port = steady_port();
        let mut command = match kind {
            Kind::Nginx => nginx(folder.path(), port, plain_port, instances),
            Kind::Caddy => caddy(folder.path(), port, plain_port, instances),
        };
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Self { child, folder, port, plain_port }
    }

    /// A client that trusts its certificate.
    fn client(&self, headers: HeaderMap) -> Client {
        let certificate = std::fs::read(self.folder.path().join("certificate.pem")).unwrap();
        Client::builder()
            .add_root_certificate(Certificate::from_pem(&certificate).unwrap())
            .resolve(HOST, SocketAddr::new(IpAddr::from([127, 0, 0, 1]), self.port))
            .redirect(Policy::none())
            .timeout(LIMIT)
            .default_headers(headers)
            .build()
            .unwrap()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

fn nginx(folder: &Path, port: u16, plain_port: u16, instances: [SocketAddr; 2]) -> Command {
    let site = exchange(
        &read("deploy/proxy/nginx.conf"),
        &[
            ("listen 80;", &format!("listen 127.0.0.1:{plain_port};")),
            ("listen 443 ssl", &format!("listen 127.0.0.1:{port} ssl")),
            ("127.0.0.1:3000", &instances[0].to_string()),
            ("127.0.0.1:3001", &instances[1].to_string()),
            ("/etc/ssl/runs.example.pem", &folder.join("certificate.pem").display().to_string()),
            ("/etc/ssl/private/runs.example.key", &folder.join("key.pem").display().to_string()),
        ],
    );
    std::fs::write(folder.join("site.conf"), site).unwrap();
    let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temp: String = temp.iter().map(|kind| format!("{kind}_temp_path {kind}; ")).collect();
    let main = format!(
        "daemon off; pid pid; error_log stderr;\nevents {{}}\nhttp {{ access_log off; {temp}\ninclude {}; }}\n",
        folder.join("site.conf").display()
    );
    std::fs::write(folder.join("nginx.conf"), main).unwrap();
    let mut nginx = Command::new(programs::nginx());
    nginx.arg("-p").arg(folder).args(["-e", "stderr"]).arg("-c").arg(folder.join("nginx.conf"));
    nginx
}

fn caddy(folder: &Path, port: u16, plain_port: u16, instances: [SocketAddr; 2]) -> Command {
    let mut caddy = Command::new(programs::caddy());
    let global = format!("http_port {plain_port}\nhttps_port {port}\nskip_install_trust\n");
    let certificate = folder.join("certificate.pem");
    let site = format!("tls {} {}", certificate.display(), folder.join("key.pem").display());
    caddy
        .args(["run", "--adapter", "caddyfile", "--config"])
        .arg(super::file("deploy/proxy/Caddyfile"))
        .envs([("HOME", folder), ("XDG_DATA_HOME", folder), ("XDG_CONFIG_HOME", folder)])
        .env("RUNTRAIL_HOST", HOST)
        .env("RUNTRAIL_UPSTREAMS", format!("{} {}", instances[0], instances[1]))
        .env("CADDY_GLOBAL_OPTIONS", global)
        .env("CADDY_SITE_OPTIONS", site);
    caddy
}

/// Two instances behind a proxy, and clients of the proxy with and without the token.
struct Site {
    kind: Kind,
    instances: Instances,
    proxy: Proxy,
    client: Client,
    stranger: Client,
    origin: String,
}

impl Site {
    async fn open(world: &World, kind: Kind) -> Self {
        let port = steady_port();
        let origin = format!("https://{HOST}:{port}");
        let flags = ["--token", TOKEN, "--public-url", &origin, "--trusted-proxy", "127.0.0.1"];
        let users = ["--user-header", "X-Forwarded-User", "--user-role", "*=admin"];
        let instances = Instances::on_sqlite(world, &[flags.as_slice(), &users].concat());
        let proxy = Proxy::start(kind, port, [instances.servers[0].addr(), instances.servers[1].addr()]);
        let token = HeaderValue::from_str(&format!("Bearer {TOKEN}")).unwrap();
        let client = proxy.client(HeaderMap::from_iter([(AUTHORIZATION, token)]));
        let stranger = proxy.client(HeaderMap::new());
        let site = Self { kind, instances, proxy, client, stranger, origin };
        until(&format!("{kind:?} serves: {}", site.proxy.log()), async || {
            let answer = site.get("/readyz").send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        site
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.origin))
    }

    /// Starts a run through the proxy; its id.
    async fn start(&self, world: &World, pipeline: &str) -> String {
        let body = json!({ "pipeline": pipeline, "params": { "project": world.project() } });
        let request = self.client.post(format!("{}/api/v1/runs", self.origin)).json(&body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED, "{:?}", self.kind);
        answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
    }

    async fn stream(&self, path: &str) -> Events {
        Events::of(self.get(path).send().await.unwrap(), path)
    }
}

async fn until_line(events: &mut Events, line: &str) {
    loop {
        let event = events.next().await.expect("the stream goes on");
        if event.event == "message" && event.data.contains(&format!("\"line\":\"{line}\"")) {
            return;
        }
    }
}

/// A pipeline that prints a line at a time, each when the one before was seen.
const STEPS: &str = "echo one; while [ ! -e two ]; do sleep 0.01; done; echo two; \
                     while [ ! -e three ]; do sleep 0.01; done; echo three";

#[tokio::test]
async fn deploy_proxies_pass_streams_on_and_keep_to_one_instance() {
    for kind in [Kind::Nginx, Kind::Caddy] {
        let world = World::new();
        world.pipeline("steps", &[STEPS]);
        let site = Site::open(&world, kind).await;
        let id = site.start(&world, "steps").await;
        let knowing = site.instances.knowing(&id).await;
        assert_eq!(knowing.len(), if site.instances.shared == Shared::Nothing { 1 } else { 2 }, "{kind:?}");
        // A client's requests reach one instance: the other one would answer 404.
        for _ in 0..20 {
            let answer = site.get(&format!("/api/v1/runs/{id}")).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{kind:?}");
        }
        // Each frame arrives before the next one is printed: nothing waits in a buffer.
        let mut run = site.stream(&format!("/runs/{id}/events")).await;
        let mut list = site.stream(&format!("/events?run={id}:0&list=1")).await;
        for (line, next) in [("one", "two"), ("two", "three")] {
            until_line(&mut run, line).await;
            until_line(&mut list, line).await;
            std::fs::write(world.file(next), "").unwrap();
        }
        until_line(&mut run, "three").await;
        let end = async |events: &mut Events| {
            while let Some(event) = events.next().await {
                if event.event == "end" {
                    return true;
                }
            }
            false
        };
        assert!(end(&mut run).await, "{kind:?}");
    }
}

#[tokio::test]
async fn deploy_proxies_pass_over_an_instance_that_died() {
    for kind in [Kind::Nginx, Kind::Caddy] {
        let world = World::new();
        world.pipeline("says", &["echo here"]);
        let mut site = Site::open(&world, kind).await;
        let first = site.start(&world, "says").await;
        let used = site.instances.knowing(&first).await[0];
        site.instances.servers.remove(used).kill();
        // Reads and writes, without waiting for health checks.
        assert_eq!(site.get("/readyz").send().await.unwrap().status(), StatusCode::OK, "{kind:?}");
        let second = site.start(&world, "says").await;
        assert_eq!(site.instances.knowing(&second).await, [0], "{kind:?}: by the other instance");
        let answer = site.get(&format!("/api/v1/runs/{first}")).send().await.unwrap();
        let knows_first = answer.status() == StatusCode::OK;
        assert_eq!(knows_first, site.instances.shared != Shared::Nothing, "{kind:?}");
    }
}

#[tokio::test]
async fn deploy_proxies_use_tls_and_drop_forged_users() {
    for kind in [Kind::Nginx, Kind::Caddy] {
        let world = World::new();
        std::fs::write(world.data().join("secret"), "a secret that only the forge knows").unwrap();
        world.toml(
            "hooked",
            &format!(
                "name = \"hooked\"\n[[phases]]\nname = \"a\"\nrun = 'echo here'\n[hook]\nsecret_file = \"{}\"\n",
                world.data().join("secret").display()
            ),
        );
        let site = Site::open(&world, kind).await;
        let plain = Client::builder()
            .resolve(HOST, SocketAddr::new(IpAddr::from([127, 0, 0, 1]), site.proxy.plain_port))
            .redirect(Policy::none())
            .build()
            .unwrap();
        let answer = plain.get(format!("http://{HOST}:{}/runs/x?at=1", site.proxy.plain_port)).send().await.unwrap();
        let location = answer.headers()["location"].to_str().unwrap();
        assert!(
            answer.status().is_redirection() && location.starts_with("https://runs.example"),
            "{kind:?} {location}"
        );
        assert!(location.ends_with("/runs/x?at=1"), "{kind:?} {location}");

        // An instance believes the header, so the proxy must not pass on what a client sends.
        let forged = |client: &Client, origin: &str| {
            client.get(format!("{origin}/api/v1/me")).header("X-Forwarded-User", "mallory")
        };
        let server = &site.instances.servers[0];
        assert_eq!(forged(&server.client, &server.url).send().await.unwrap().status(), StatusCode::OK);
        let answer = forged(&site.stranger, &site.origin).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{kind:?}");

        // Cookies of a login are Secure, and pages come from the instance with its headers.
        let form = [("token", TOKEN), ("next", "/")];
        let login = site.stranger.post(format!("{}/login", site.origin)).header("origin", &site.origin).form(&form);
        let cookie = login.send().await.unwrap().headers()["set-cookie"].to_str().unwrap().to_owned();
        assert!(cookie.starts_with("__Host-runtrail_session=") && cookie.contains("Secure"), "{kind:?} {cookie}");

        // A large delivery reaches the instance, which refuses its signature.
        let call = site.stranger.post(format!("{}/api/v1/hooks/hooked", site.origin)).body(vec![b' '; DELIVERY_BYTES]);
        let call =
            call.header("x-github-event", "push").header("x-hub-signature-256", format!("sha256={}", "0".repeat(64)));
        let answer = call.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{kind:?}");
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], "bad_signature", "{kind:?}");
    }
}
