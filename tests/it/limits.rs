//! `[limits]` of a pipeline: an attempt that exceeds one is ended, and its journal says why.

use serde_json::{Value, json};

use crate::support::{Server, World, until};

/// All frames of a run.
async fn frames(server: &Server, id: &str) -> Vec<Value> {
    let (mut frames, mut after) = (Vec::new(), 0);
    loop {
        let page = server.get_json(&format!("/api/v1/runs/{id}/frames?limit=5000&after={after}")).await;
        let new = page["frames"].as_array().unwrap().clone();
        let Some(last) = new.last() else { return frames };
        after = last["seq"].as_u64().unwrap();
        frames.extend(new);
    }
}

fn of<'a>(frames: &'a [Value], kind: &str) -> Vec<&'a Value> {
    frames.iter().filter(|frame| frame["kind"] == kind).collect()
}

/// A pipeline of this command and a second phase.
fn limited(world: &World, title: &str, limits: &str, run: &str, keys: &str) {
    let second = "[[phases]]\nname = \"b\"\nif = \"always\"\nrun = \"echo second\"\n";
    world.toml(
        "p",
        &format!("name = \"p\"\ntitle = \"{title}\"\n[limits]\n{limits}\n[[phases]]\nname = \"a\"\nrun = '''\n{run}\n'''\n{keys}\n{second}"),
    );
}

/// Waits until the server has the pipeline of this title.
async fn is_read(server: &Server, title: &str) {
    until("the file is read", async || {
        let pipelines = server.get_json("/api/v1/pipelines").await;
        pipelines.as_array().unwrap().iter().any(|known| known["title"] == title).then_some(())
    })
    .await;
}

async fn start(server: &Server) -> String {
    let response = server.post("/api/v1/runs", json!({ "pipeline": "p" })).await;
    response.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
}

/// Each would run forever. It gets SIGTERM, is not retried, and the run fails with the limit as its reason.
#[tokio::test]
async fn limits_end_the_attempt_with_a_reason() {
    let world = World::new();
    let server = world.serve();
    let flood = "while :; do echo 0123456789012345678901234567890123456789; done";
    let cases = [
        ("output = \"64K\"", flood, "limit_output", ["printed 64 KiB", "`output`"]),
        ("frames = 500", flood, "limit_frames", ["500 frames", "`frames`"]),
        ("duration = \"3s\"", "sleep 1000", "limit_duration", ["taken 3s", "`duration`"]),
        ("scratch = \"1M\"", "head -c 3000000 /dev/zero > big; sleep 1000", "limit_scratch", ["1 MiB", "`scratch`"]),
        (
            "scratch = \"1M\"",
            "head -c 3000000 /dev/zero > $RUNTRAIL_WORKSPACE/big; sleep 1000",
            "limit_scratch",
            ["1 MiB", "`scratch`"],
        ),
    ];
    for (number, (limits, run, code, words)) in cases.into_iter().enumerate() {
        let title = format!("case {number}");
        limited(
            &world,
            &title,
            limits,
            &format!("trap 'echo asked > asked; exit 7' TERM\n{run} & wait"),
            "retries = 3",
        );
        is_read(&server, &title).await;
        let id = start(&server).await;
        let run = server.until_status(&id, "failed").await;
        let error = run["error"].as_str().unwrap();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
        let frames = frames(&server, &id).await;
        let notices = of(&frames, "notice");
        assert!(notices.iter().any(|notice| notice["data"]["code"] == code), "{code}: {notices:?}");
        let errors = of(&frames, "error");
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(errors[0]["data"]["code"], code);
        let states: Vec<_> = run["phases"].as_array().unwrap().iter().map(|phase| phase["state"].clone()).collect();
        assert_eq!(states, ["failed", "skipped"], "{code}");
        let asked = world.data().join("scratch").join(&id).join("asked");
        assert!(asked.exists(), "{code}: it was asked to end before it was killed");
        let logged = of(&frames, "log").len();
        match code {
            "limit_frames" => assert_eq!(logged, 500),
            "limit_output" => {
                let bytes: usize =
                    of(&frames, "log").iter().map(|log| log["data"]["line"].as_str().unwrap().len() + 1).sum();
                assert!((65_536..65_600).contains(&bytes), "{bytes}");
            }
            _ => {}
        }
    }
}

/// An attempt that ends exactly at its limit completes; one byte more fails it. Another attempt starts at zero.
#[tokio::test]
async fn limits_are_exact_and_per_attempt() {
    let world = World::new();
    let server = world.serve();
    let size = world.data().join("size");
    let run = format!("head -c \"$(cat '{}')\" /dev/zero | tr '\\0' x", size.display());
    limited(&world, "exact", "output = 1000", &run, "");
    is_read(&server, "exact").await;
    // The second phase prints `second` and a line end.
    for (bytes, status) in [("993", "completed"), ("994", "failed"), ("993", "completed")] {
        std::fs::write(&size, bytes).unwrap();
        let id = start(&server).await;
        let run = server.until_status(&id, status).await;
        if status == "failed" {
            assert_eq!(run["phases"][0]["state"], "completed", "{run}");
            std::fs::write(&size, "993").unwrap();
            server.post(&format!("/api/v1/runs/{id}/rerun"), json!({})).await;
            server.until_status(&id, "completed").await;
        }
    }
}

/// Output of background processes counts, too.
#[tokio::test]
async fn limits_include_background_processes() {
    let world = World::new();
    world.toml(
        "p",
        "name = \"p\"\n[limits]\noutput = \"64K\"\n[[phases]]\nname = \"a\"\nbackground = true\n\
         run = \"(sleep 1; while :; do echo 0123456789; done) &\"\n[[phases]]\nname = \"b\"\nrun = \"sleep 1000\"\n",
    );
    let server = world.serve();
    let id = start(&server).await;
    let run = server.until_status(&id, "failed").await;
    assert!(run["error"].as_str().unwrap().starts_with("phase b was ended: the attempt has printed 64 KiB"), "{run}");
}

#[tokio::test]
async fn limits_of_built_in_pipelines_include_duration() {
    let world = World::new();
    world.toml(
        "own",
        "name = \"own\"\nextends = \"autofix\"\nlimits = { frames = 9 }\n[[linters]]\nname = \"l\"\nrun = \"true\"\n",
    );
    world.pipeline("plain", &["true"]);
    let server = world.serve();
    let pipelines = server.get_json("/api/v1/pipelines").await;
    let limits =
        |name: &str| pipelines.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap()["limits"].clone();
    let day = 24 * 60 * 60 * 1000;
    for name in ["autofix", "refactor"] {
        assert_eq!(limits(name)["duration_ms"], day, "{name}");
    }
    assert_eq!((&limits("own")["duration_ms"], &limits("own")["frames"]), (&json!(day), &json!(9)));
    let usual = json!({ "output": 2u64 << 30, "frames": 10_000_000, "duration_ms": null, "scratch": null });
    assert_eq!(limits("plain"), usual);
}
