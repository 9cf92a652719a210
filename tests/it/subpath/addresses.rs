//! Addresses in pages and in their source.

use super::*;

/// Pages in all their states: no link leads outside the base path.
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
    front.server.until_awaiting_approval(&asks).await;
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
    front.server.until_awaiting_approval(&asks).await;
    for path in ["", "?attempt=1", "?attempt=1&tab=findings", "/compare"] {
        front.page(&format!("/rt/runs/{asks}{path}"), StatusCode::OK).await;
    }
    front.page("/rt/runs/nonsense", StatusCode::NOT_FOUND).await;
    front.page("/rt/nowhere", StatusCode::NOT_FOUND).await;
}

/// Addresses built in the browser are below the base path, too: no address in the page's source begins at the root.
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
            // `query_address` and `RecordFilter` add the base path.
            let through_base = ["base::path(", "base::path(&format!(", "query_address(", "RecordFilterpath="];
            if through_base.iter().any(|call| before.ends_with(call)) {
                through += 1;
            } else {
                astray.push(format!("{}: {}", file.display(), line.trim()));
            }
        }
        for (at, _) in text.match_indices("::url()") {
            let before = &text[..at];
            let name = before.rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
            // `PostForm` adds the base path.
            if before[..name].ends_with("base::path(") || before[..name].ends_with(" url=") {
                through += 1;
            } else {
                astray.push(format!("{}: a form's action", file.display()));
            }
        }
    }
    assert!(astray.is_empty(), "{}", astray.join("\n"));
    assert!(through > 20, "{through} addresses");
}

/// A public URL that cannot be served is refused at start, with the reason.
#[test]
fn public_url_that_cannot_be_served_is_refused() {
    for (url, word) in
        [("https://h.example/a//b", "segment"), ("https://h.example/a%20b", "segment"), ("https://h/api", "/api")]
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
