//! A running server, and requests to it.

use super::*;

/// A running server. Killed when dropped.
pub struct Server {
    pub(super) child: Child,
    pub url: String,
    pub(super) database: Arc<TestDatabase>,
    pub client: Client,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// kill -9, and nothing else.
    pub fn kill(mut self) {
        // Harmless if it has ended already.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// kill -9, so long ago that the leases of its workers have run out.
    pub fn kill_and_lapse(self) {
        let database = Arc::clone(&self.database);
        self.kill();
        database.lapse_leases();
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn unix_pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(self.pid().try_into().unwrap())
    }

    /// SIGTERM; returns the exit code.
    pub async fn terminate(self) -> Option<i32> {
        nix::sys::signal::kill(self.unix_pid(), nix::sys::signal::Signal::SIGTERM).unwrap();
        self.ended().await
    }

    /// Waits until it has ended by itself; returns the exit code.
    pub async fn ended(mut self) -> Option<i32> {
        until("the server ends", async || self.child.try_wait().unwrap()).await.code()
    }

    /// Where it listens.
    pub fn addr(&self) -> std::net::SocketAddr {
        self.url.strip_prefix("http://").unwrap().parse().unwrap()
    }

    pub async fn get(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.url)).send().await.unwrap()
    }

    pub async fn get_json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.unwrap()
    }

    pub async fn post(&self, path: &str, body: Value) -> Response {
        self.client.post(format!("{}{path}", self.url)).json(&body).send().await.unwrap()
    }

    /// Starts a run in the project; its id.
    pub async fn start(&self, world: &World, pipeline: &str) -> String {
        let params = json!({ "project": world.project() });
        let response = self.post("/api/v1/runs", json!({ "pipeline": pipeline, "params": params })).await;
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, StatusCode::CREATED, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    pub async fn run(&self, id: &str) -> Value {
        self.get_json(&format!("/api/v1/runs/{id}")).await
    }

    /// Waits until the run has this status.
    pub async fn until_status(&self, id: &str, status: &str) -> Value {
        until(&format!("run {id} is {status}"), async || {
            let run = self.run(id).await;
            (run["status"] == status).then_some(run)
        })
        .await
    }

    /// Waits until the run asks a person.
    pub async fn until_awaiting_approval(&self, id: &str) -> Value {
        until(&format!("run {id} asks"), async || {
            let run = self.run(id).await;
            run["approval"].is_object().then_some(run)
        })
        .await
    }

    /// All frames that a run has now, by polls, checked to be dense.
    pub async fn frames(&self, id: &str) -> Vec<Value> {
        let head = self.run(id).await["head"].as_u64().unwrap();
        let mut frames: Vec<Value> = Vec::new();
        loop {
            let page = self.get_json(&format!("/api/v1/runs/{id}/frames?after={}&limit=5000", frames.len())).await;
            let new = page["frames"].as_array().unwrap();
            frames.extend(new.iter().cloned());
            if frames.len() as u64 >= head {
                for (index, frame) in frames.iter().enumerate() {
                    assert_eq!(frame["seq"], index + 1, "the journal is dense");
                }
                return frames;
            }
        }
    }

    /// The text of all log lines of a run.
    pub async fn lines(&self, id: &str) -> Vec<String> {
        let frames = self.frames(id).await;
        let logs = frames.iter().filter(|frame| frame["kind"] == "log");
        logs.map(|frame| frame["data"]["line"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until the run has printed this line.
    pub async fn until_line(&self, id: &str, line: &str) {
        until(&format!("run {id} prints {line:?}"), async || {
            self.lines(id).await.iter().any(|printed| printed == line).then_some(())
        })
        .await;
    }
}
