//! The login form: for people, what `Authorization` is for programs. Plain HTML; works without scripts.

use axum::body::Body;
use axum::extract::{FromRequest, Query, Request};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::{Form, Json};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::super::body;
use super::Guard;
use super::admission::{Later, peer, see_other};
use super::client::{Client, over_tls};
use super::landing;
use super::shown::cookie_name;
use super::slow::Verdict;
use crate::access::{Access, Browser, Granted, LoginError, LoginWith};

use crate::base;
use crate::model::{Problem, ProblemCode};

/// Where pages keep the key of their login (`browser/key.rs`).
pub const KEY_NAME: &str = "runtrail-key";

/// A month: long enough not to be a nuisance, and a lost laptop is noticed sooner.
const MAX_AGE: u32 = 30 * 24 * 60 * 60;

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
struct Filled {
    /// What a person types.
    #[serde(default)]
    token: String,
    /// What a link has.
    #[serde(default)]
    code: String,
    #[serde(default)]
    next: String,
}

/// What the login page's script is answered.
#[derive(Serialize)]
struct Answered<'a> {
    /// Where the login leads.
    next: &'a str,
    /// What the pages of this login send with changes.
    key: Option<&'a str>,
}

/// Answers `/login`.
pub async fn login(guard: &Guard, access: &Access, request: Request) -> Response {
    match *request.method() {
        Method::GET | Method::HEAD => {
            let asked = Query::<Asked>::try_from_uri(request.uri());
            let next = asked.map(|Query(asked)| asked.next).unwrap_or_default();
            form(StatusCode::OK, landing::local(&next), None)
        }
        Method::POST => submit(guard, access, request).await,
        _ => wrong_method("GET, HEAD, POST"),
    }
}

/// Answers `/login.js`.
pub fn script() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (headers, include_str!("login.js")).into_response()
}

/// Answers `/logout`: the session and its streams end.
pub async fn logout(guard: &Guard, access: &Access, granted: &Granted, request: &Request<()>) -> Response {
    if request.method() != Method::POST {
        return wrong_method("POST");
    }
    if let Some(session) = &granted.session
        && let Err(error) = access.log_out(session, &granted.actor("the page", peer(request))).await
    {
        return Problem::from(error).into_response();
    }
    logged_out(guard, request)
}

/// The answer to who is logged out now, or was before.
pub fn logged_out(guard: &Guard, request: &Request<()>) -> Response {
    if request.method() != Method::POST {
        return wrong_method("POST");
    }
    let mut answer = see_other("/login");
    answer.headers_mut().append(header::SET_COOKIE, cookie("", guard.secure || over_tls(request)));
    // Below a path, the rest of the host is not ours to clear.
    if base::current().is_root() {
        answer.headers_mut().insert("clear-site-data", HeaderValue::from_static("\"cache\", \"cookies\", \"storage\""));
    }
    answer
}

async fn submit(guard: &Guard, access: &Access, request: Request) -> Response {
    let (client, tls) = (Client::of(&request), guard.secure || over_tls(&request));
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let has_script = accept == Some("application/json");
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).map(str::to_owned);
    let address = peer(&request).map(|peer| peer.ip().to_canonical().to_string());
    let (head, body) = request.into_parts();
    let read = match body::read(body).await {
        Ok(bytes) => Request::from_parts(head, Body::from(bytes)),
        Err(problem) => return problem.into_response(),
    };
    let filled = Form::<Filled>::from_request(read, &()).await.ok().map(|Form(filled)| filled);
    let Some(filled) = filled.filter(|filled| !filled.token.is_empty() || !filled.code.is_empty()) else {
        let detail = "Send a form (application/x-www-form-urlencoded) with the field `token`.";
        return Problem::new(ProblemCode::InvalidBody, detail).into_response();
    };
    let next = landing::local(&filled.next);
    // As with the header, which cannot carry spaces at its ends.
    let (by_code, shown) = match filled.code.as_str() {
        "" => (false, filled.token.trim()),
        code => (true, code),
    };
    let with = if by_code { LoginWith::Code(shown) } else { LoginWith::Token(shown) };
    let refuse = |status: StatusCode, code: ProblemCode, sentence: &str| match has_script {
        true => Problem::new(code, sentence).into_response(),
        false => form(status, next, Some(sentence)),
    };
    // What is right is never kept waiting, so it is not found out by who waits.
    if guard.slowdown.is_busy(client, Instant::now()) && !guard.is_strong {
        let later = Later::after(guard.slowdown.wait(client, Instant::now()));
        let page = refuse(StatusCode::TOO_MANY_REQUESTS, ProblemCode::TooManyAttempts, &later.sentence());
        return (later.header(), page).into_response();
    }
    let login = match access.log_in(with, Browser { address: address.clone(), agent, has_script }).await {
        Ok(login) => Some(login),
        Err(LoginError::Wrong) => None,
        Err(LoginError::Write(error)) => return Problem::from(error).into_response(),
        Err(LoginError::NoRandomness(error)) => return Problem::from(error).into_response(),
    };
    match (guard.slowdown.judge(client, login.is_some(), guard.is_strong, Instant::now()), login) {
        (Verdict::Right, Some(login)) => {
            let mut answer = match has_script {
                true => {
                    let next = base::path(next);
                    let answered = Answered { next: &next, key: login.key.as_deref() };
                    ([(header::CACHE_CONTROL, "no-store")], Json(answered)).into_response()
                }
                false => see_other(next),
            };
            answer.headers_mut().append(header::SET_COOKIE, cookie(&login.cookie, tls));
            answer
        }
        (Verdict::Busy(wait), _) => {
            let later = Later::after(wait);
            let page = refuse(StatusCode::TOO_MANY_REQUESTS, ProblemCode::TooManyAttempts, &later.sentence());
            (later.header(), page).into_response()
        }
        (Verdict::Wrong(wait), _) => {
            tracing::warn!(%client, "a login with a wrong token");
            access.note_wrong(address, if by_code { "login link" } else { "login" });
            tokio::time::sleep(wait).await;
            let sentence = match by_code {
                true => "The login link was used, or is too old. `runtrail login` makes another one.",
                false => "That is not this server’s token.",
            };
            refuse(StatusCode::UNAUTHORIZED, ProblemCode::Unauthorized, sentence)
        }
        (Verdict::Right, None) => {
            refuse(StatusCode::UNAUTHORIZED, ProblemCode::Unauthorized, "That is not this server’s token.")
        }
    }
}

/// The cookie that keeps a login; an empty one ends it.
///
/// Scripts do not see it, other sites' requests do not carry it, and behind TLS it is never sent in the clear.
pub fn cookie(session: &str, tls: bool) -> HeaderValue {
    let age = if session.is_empty() { 0 } else { MAX_AGE };
    let secure = if tls { "; Secure" } else { "" };
    let (name, path) = (cookie_name(tls), base::current());
    let path = if path.is_root() { "/" } else { path.as_str() };
    let text = format!("{name}={session}; Path={path}; Max-Age={age}; HttpOnly; SameSite=Strict{secure}");
    // Hexadecimal digits and the above are always a header.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("runtrail_session=; Path=/; Max-Age=0"))
}

fn wrong_method(allowed: &'static str) -> Response {
    let problem = Problem::new(ProblemCode::MethodNotAllowed, format!("This address takes {allowed}."));
    ([(header::ALLOW, allowed)], problem).into_response()
}

/// The page with the form. `next` has passed [`landing::local`]; escaped here all the same.
fn form(status: StatusCode, next: &str, error: Option<&str>) -> Response {
    let title = if error.is_some() { "Error: Log in · Runtrail" } else { "Log in · Runtrail" };
    let next = escape(next);
    let (invalid, alert) = match error {
        Some(error) => (
            " aria-invalid=\"true\" aria-describedby=\"token-error token-help\"",
            format!("<p class=\"login-error\" id=\"token-error\" role=\"alert\">{}</p>\n", escape(error)),
        ),
        None => (" aria-describedby=\"token-help\"", String::new()),
    };
    let (action, key, script) = (base::path("/login"), base::name(KEY_NAME), base::path("/login.js"));
    let body = format!(
        "<main class=\"login-box\">
<h1>Log in to Runtrail</h1>
<form class=\"login-form\" method=\"post\" action=\"{action}\" data-key=\"{key}\">
<input type=\"hidden\" name=\"next\" value=\"{next}\">
<label class=\"login-label\" for=\"token\">Token</label>
<input class=\"login-input\" id=\"token\" name=\"token\" type=\"password\" autocomplete=\"current-password\" spellcheck=\"false\" \
         required autofocus{invalid}>
{alert}<p class=\"login-help\" id=\"token-help\">The server prints a link that logs you in when it starts. \
         <code>runtrail login</code> prints another one.</p>
<button class=\"login-button\" type=\"submit\">Log in</button>
</form>
</main>
<script src=\"{script}\" defer></script>"
    );
    let mut answer = (status, [(header::CACHE_CONTROL, "no-store")], page(title, "", &body)).into_response();
    if status == StatusCode::UNAUTHORIZED {
        // RFC 9110, section 15.5.2; browsers do not ask by themselves for this scheme.
        let challenge = HeaderValue::from_static("Bearer realm=\"runtrail\"");
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    answer
}

/// A page that asks for `next` once more, from here: see the token rule.
pub fn once_more(next: &str) -> Response {
    let next = escape(next);
    let refresh = format!("<meta http-equiv=\"refresh\" content=\"0; url={next}\">\n");
    let body = format!("<main class=\"login-box\"><p><a href=\"{next}\">Go on to Runtrail</a></p></main>");
    ([(header::CACHE_CONTROL, "no-store")], page("Runtrail", &refresh, &body)).into_response()
}

fn page(title: &str, head: &str, body: &str) -> Html<String> {
    let (icon, style) = (base::path("/favicon.svg"), base::path("/pkg/runtrail.css"));
    Html(format!(
        "<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<title>{title}</title>
{head}<link rel=\"icon\" href=\"{icon}\" type=\"image/svg+xml\">
<link rel=\"stylesheet\" href=\"{style}\">
</head>
<body class=\"login\">
{body}
</body>
</html>
"
    ))
}

/// Text as text, in an element or a quoted attribute.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_for_this_server_alone() {
        let plain = cookie("abc", false);
        assert_eq!(plain, "runtrail_session=abc; Path=/; Max-Age=2592000; HttpOnly; SameSite=Strict");
        assert_eq!(cookie("abc", true), format!("__Host-{}; Secure", plain.to_str().unwrap()));
        assert_eq!(cookie("", false), "runtrail_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    }

    #[test]
    fn text_stays_text() {
        assert_eq!(escape("/a?b=\"><script>'&"), "/a?b=&quot;&gt;&lt;script&gt;&#39;&amp;");
    }
}
