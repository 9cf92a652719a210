//! The value that was given is the value that is used: missing, empty and blank are different, and no byte is changed.

use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::{Server, World};

/// Prints each variable in hex with a dot at its end, and of one that is not set that it is not.
const SHOW: &str = r#"
for name in WORD NOTE LEVEL LOUD COLOR; do
    eval "set=\${RUNTRAIL_PARAM_$name+set} value=\$RUNTRAIL_PARAM_$name."
    if [ "$set" ]; then echo "$name $(printf %s "$value" | od -An -v -tx1 | tr -d ' \n')"; else echo "$name is not set"; fi
done"#;

/// The output of that command.
fn shown(values: [Option<&str>; 5]) -> Vec<String> {
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let line = |(name, value): (&str, Option<&str>)| match value {
        Some(value) => format!("{name} {}2e", hex(value)),
        None => format!("{name} is not set"),
    };
    ["WORD", "NOTE", "LEVEL", "LOUD", "COLOR"].into_iter().zip(values).map(line).collect()
}

fn values(world: &World) {
    let params = r#"
[[params]]
name = "word"
type = "string"
default = "usual"
[[params]]
name = "note"
type = "text"
[[params]]
name = "level"
type = "integer"
default = 3
[[params]]
name = "loud"
type = "boolean"
default = true
[[params]]
name = "color"
type = "choice"
choices = ["red", "green"]
"#;
    world.toml("values", &format!("name = \"values\"\n{params}[[phases]]\nname = \"show\"\nrun = '''{SHOW}'''\n"));
}

async fn started(response: Response) -> String {
    let status = response.status();
    let run: Value = response.json().await.unwrap();
    assert!(status.is_success(), "{status}: {run}");
    run["id"].as_str().unwrap().to_owned()
}

/// A client of forms, as a browser without scripts is one.
fn browser() -> Client {
    Client::builder().redirect(Policy::none()).build().unwrap()
}

/// Sends a form as a browser does; where the answer leads.
async fn send(server: &Server, call: &str, fields: &[(&str, &str)]) -> String {
    let mut body = form_urlencoded::Serializer::new(String::new());
    for (name, text) in fields {
        body.append_pair(name, &text.replace('\n', "\r\n"));
    }
    let request = browser().post(format!("{}/fn/{call}", server.url)).body(body.finish());
    let request = request.header("content-type", "application/x-www-form-urlencoded").header("accept", "text/html");
    let response = request.header("referer", format!("{}/", server.url)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::FOUND, "{}", response.text().await.unwrap());
    response.headers()["location"].to_str().unwrap().to_owned()
}

/// The run that a form has led to.
fn id_in(location: &str) -> String {
    location.strip_prefix("/runs/").unwrap_or_else(|| panic!("{location}")).to_owned()
}

#[tokio::test]
async fn values_missing_empty_and_blank_differ_in_the_api() {
    let world = World::new();
    values(&world);
    let server = world.serve();
    let cases = [
        (
            json!({}),
            json!({"word": "usual", "level": 3, "loud": true}),
            [Some("usual"), None, Some("3"), Some("true"), None],
        ),
        (
            json!({"word": "", "note": "", "level": "", "loud": false, "color": null}),
            json!({"word": "", "note": "", "level": "", "loud": false}),
            [Some(""), Some(""), Some(""), Some("false"), None],
        ),
        (
            json!({"word": " ", "note": "\n a\r\n\n", "level": null, "color": "red"}),
            json!({"word": " ", "note": "\n a\r\n\n", "level": 3, "loud": true, "color": "red"}),
            [Some(" "), Some("\n a\r\n\n"), Some("3"), Some("true"), Some("red")],
        ),
    ];
    for (given, params, lines) in cases {
        let id = started(server.post("/api/v1/runs", json!({"pipeline": "values", "params": given})).await).await;
        let run = server.until_status(&id, "completed").await;
        assert_eq!(run["params"], params, "{given}");
        assert_eq!(server.lines(&id).await, shown(lines), "{given}");
        // As it is, and with its own parameters given again.
        for body in [json!({}), json!({"params": params})] {
            assert_eq!(server.post(&format!("/api/v1/runs/{id}/rerun"), body).await.status(), StatusCode::ACCEPTED);
            assert_eq!(server.until_status(&id, "completed").await["params"], params, "{given}");
        }
    }
    let response = server.post("/api/v1/runs", json!({"pipeline": "values", "params": {"color": ""}})).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["errors"][0]["code"], "not_a_choice", "{problem}");
    assert!(problem["errors"][0]["message"].as_str().unwrap().ends_with("To choose none, leave it out."), "{problem}");
}

#[tokio::test]
async fn values_of_a_form_without_scripts_are_explicit() {
    let world = World::new();
    values(&world);
    let server = world.serve();
    let page = server.get("/?pipeline=values").await.text().await.unwrap();
    assert!(page.contains("name=\"boxes\" value=\"loud\""), "{page}");
    // All fields as they are, but the box: it is not ticked, so a browser does not send it.
    let fields = [
        ("pipeline", "values"),
        ("boxes", "loud"),
        ("params[word]", "usual"),
        ("params[note]", ""),
        ("params[level]", "3"),
        ("params[color]", ""),
    ];
    let id = id_in(&send(&server, "start_run", &fields).await);
    let run = server.until_status(&id, "completed").await;
    assert_eq!(run["params"], json!({"word": "usual", "level": 3, "loud": false}));
    // Emptied, and text of several lines.
    let fields = [
        ("pipeline", "values"),
        ("boxes", "loud"),
        ("params[word]", ""),
        ("params[note]", "\n a\n"),
        ("params[level]", ""),
        ("params[loud]", "true"),
    ];
    let id = id_in(&send(&server, "start_run", &fields).await);
    let run = server.until_status(&id, "completed").await;
    assert_eq!(run["params"], json!({"word": "", "note": "\n a\n", "level": "", "loud": true}));
    // Typed values are in no address.
    let shown = send(&server, "show_fields", &[("pipeline", "values"), ("params[word]", "typed")]).await;
    assert_eq!(shown, "/?pipeline=values");
}

#[tokio::test]
async fn values_of_an_edited_form_change_only_if_edited() {
    let world = World::new();
    values(&world);
    let server = world.serve();
    let given = json!({"word": "a\r\nb", "note": "\n<b>\r\n", "level": ""});
    let id = started(server.post("/api/v1/runs", json!({"pipeline": "values", "params": given})).await).await;
    server.until_status(&id, "completed").await;
    let page = server.get(&format!("/runs/{id}?edit=1")).await.text().await.unwrap();
    for (name, content) in [("word", "\na\nb"), ("note", "\n\n&lt;b&gt;\n")] {
        let field = page
            .split("<textarea")
            .find(|field| field.contains(&format!("name=\"params[{name}]\"")))
            .unwrap_or_default();
        let inside = field.split_once('>').unwrap_or_default().1.split("</textarea>").next().unwrap_or_default();
        assert_eq!(inside, content, "{name}: {page}");
    }
    let edit = async |attempt: &str, word: &str, note: &str| {
        let fields = [
            ("id", id.as_str()),
            ("attempt", attempt),
            ("shown", "1"),
            ("boxes", "loud"),
            ("params[word]", word),
            ("params[note]", note),
            ("params[level]", ""),
            ("params[color]", ""),
        ];
        send(&server, "rerun_edited", &fields).await;
        server.until_status(&id, "completed").await["params"].clone()
    };
    // The browser makes every line end its own.
    assert_eq!(
        edit("1", "a\nb", "\n<b>\n").await,
        json!({"word": "a\r\nb", "note": "\n<b>\r\n", "level": "", "loud": false})
    );
    assert_eq!(
        edit("2", "a\nb", "\n<b>\n!").await,
        json!({"word": "a\r\nb", "note": "\n<b>\n!", "level": "", "loud": false})
    );
}

#[tokio::test]
async fn values_of_integers_are_exact_or_refused() {
    let world = World::new();
    values(&world);
    let server = world.serve();
    let post = async |body: &str| {
        let request =
            server.client.post(format!("{}/api/v1/runs", server.url)).header("content-type", "application/json");
        request.body(body.to_owned()).send().await.unwrap()
    };
    for (level, taken) in [
        ("9007199254740993", Some(json!(9_007_199_254_740_993i64))),
        ("-9223372036854775808", Some(json!(i64::MIN))),
        ("\"007\"", Some(json!(7))),
        ("1.0", None),
        ("1e3", None),
        ("9223372036854775808", None),
        ("\" 7\"", None),
        ("[7]", None),
    ] {
        let response = post(&format!("{{\"pipeline\": \"values\", \"params\": {{\"level\": {level}}}}}")).await;
        match taken {
            Some(number) => {
                let run: Value = response.json().await.unwrap();
                assert_eq!(run["params"]["level"], number, "{level}");
            }
            None => {
                assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY, "{level}");
                let problem: Value = response.json().await.unwrap();
                assert_eq!(problem["errors"][0]["message"], "level must be a whole number.", "{level}");
            }
        }
    }
    // Text fields of the page send numbers as text; programs send what they mean.
    let response = post("{\"pipeline\": \"values\", \"params\": {\"word\": 17}}").await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn values_of_a_schedule_may_be_empty() {
    let world = World::new();
    world.toml(
        "due",
        "name = \"due\"\n[[params]]\nname = \"word\"\ntype = \"string\"\ndefault = \"usual\"\n[[phases]]\nname = \"a\"\nrun = 'echo \"<$RUNTRAIL_PARAM_WORD>\"'\n\
         [[schedules]]\ncron = \"* * * * * *\"\nparams = { word = \"\" }\n",
    );
    let server = world.serve();
    let run = crate::support::until("a run is due", async || {
        server.get_json("/api/v1/runs").await["runs"].as_array().unwrap().last().cloned()
    })
    .await;
    assert_eq!(run["params"], json!({"word": ""}));
}

#[tokio::test]
async fn values_of_a_payload_are_converted_to_text() {
    let world = World::new();
    std::fs::write(world.data().join("secret"), "a secret of the forge\n").unwrap();
    let params =
        ["pr", "draft", "title"].map(|name| format!("[[params]]\nname = \"{name}\"\ntype = \"string\"\n")).concat();
    let text = format!(
        "name = \"p\"\n{params}[[phases]]\nname = \"a\"\nrun = 'echo \"$RUNTRAIL_PARAM_PR $RUNTRAIL_PARAM_DRAFT\"'\n\
         [hook]\nsecret_file = \"{}\"\n[hook.params]\npr = {{ from = \"/number\" }}\n\
         draft = {{ from = \"/pull_request/draft\" }}\ntitle = {{ from = \"/title\" }}\n",
        world.data().join("secret").display()
    );
    world.toml("p", &text);
    let server = world.serve();
    let send = async |body: Value| {
        let call = server.client.post(format!("{}/api/v1/hooks/p", server.url)).body(body.to_string());
        call.header("x-gitlab-event", "Merge Request Hook")
            .header("x-gitlab-token", "a secret of the forge")
            .send()
            .await
            .unwrap()
    };
    let id = started(send(json!({"number": 17, "pull_request": {"draft": false}, "title": null})).await).await;
    let run = server.until_status(&id, "completed").await;
    assert_eq!(run["params"], json!({"pr": "17", "draft": "false"}));
    assert_eq!(server.lines(&id).await, ["17 false"]);
    for (number, what) in [(json!([17]), "a list"), (json!({"is": 17}), "an object")] {
        let response = send(json!({"number": number, "pull_request": {"draft": true}})).await;
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let problem: Value = response.json().await.unwrap();
        let expected = json!({"param": "pr", "code": "wrong_type", "message": format!("pr must be text, and the payload has {what}.")});
        assert_eq!(problem["errors"], json!([expected]));
    }
}
