//! The login form: for people, what `Authorization` is for programs. Plain HTML; works without scripts.

use axum::Form;
use axum::body::Body;
use axum::extract::{FromRequest, Query, Request};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;
use tokio::time::Instant;

use super::super::body;
use super::Guard;
use super::client::{Client, over_tls};
use super::landing;
use super::slow::Verdict;
use super::token::{Later, Shown, Token, cookie_name, see_other};
use crate::base;
use crate::model::{Code, Problem};

/// A month: long enough not to be a nuisance, and a lost laptop is noticed sooner.
const MAX_AGE: u32 = 30 * 24 * 60 * 60;

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
struct Filled {
    token: String,
    #[serde(default)]
    next: String,
}

/// Answers `/login`.
pub async fn login(guard: &Guard, token: &Token, request: Request) -> Response {
    match *request.method() {
        Method::GET | Method::HEAD => {
            let asked = Query::<Asked>::try_from_uri(request.uri());
            let next = asked.map(|Query(asked)| asked.next).unwrap_or_default();
            form(StatusCode::OK, landing::local(&next), None)
        }
        Method::POST => submit(guard, token, request).await,
        _ => wrong_method("GET, HEAD, POST"),
    }
}

/// Answers `/logout`.
pub fn logout(guard: &Guard, request: &Request) -> Response {
    if request.method() != Method::POST {
        return wrong_method("POST");
    }
    let mut answer = see_other("/login");
    answer.headers_mut().append(header::SET_COOKIE, cookie("", guard.secure || over_tls(request)));
    answer
}

async fn submit(guard: &Guard, token: &Token, request: Request) -> Response {
    let (client, tls) = (Client::of(&request), guard.secure || over_tls(&request));
    let (head, body) = request.into_parts();
    let read = match body::read(body).await {
        Ok(bytes) => Request::from_parts(head, Body::from(bytes)),
        Err(problem) => return problem.into_response(),
    };
    let Ok(Form(filled)) = Form::<Filled>::from_request(read, &()).await else {
        let detail = "Send a form (application/x-www-form-urlencoded) with the field `token`.";
        return Problem::new(Code::InvalidBody, detail).into_response();
    };
    let next = landing::local(&filled.next);
    // As with the header, which cannot carry spaces at its ends.
    let right = token.admits(&Shown::Token(filled.token.trim().as_bytes()));
    match guard.slowdown.judge(client, right, Instant::now()) {
        Verdict::Right => {
            let mut answer = see_other(next);
            answer.headers_mut().append(header::SET_COOKIE, cookie(token.session(), tls));
            answer
        }
        Verdict::Busy(wait) => {
            let later = Later::after(wait);
            let page = form(StatusCode::TOO_MANY_REQUESTS, next, Some(&later.sentence()));
            (later.header(), page).into_response()
        }
        Verdict::Wrong(wait) => {
            tracing::warn!(%client, "a login with a wrong token");
            tokio::time::sleep(wait).await;
            form(StatusCode::UNAUTHORIZED, next, Some("That is not this server’s token."))
        }
    }
}

/// The cookie that keeps a login; an empty one ends it.
///
/// Scripts do not see it, other sites' requests do not carry it, and behind TLS it is never sent in the clear.
pub fn cookie(session: &str, tls: bool) -> HeaderValue {
    let age = if session.is_empty() { 0 } else { MAX_AGE };
    let secure = if tls { "; Secure" } else { "" };
    let (name, path) = (cookie_name(), base::current());
    let path = if path.is_root() { "/" } else { path.as_str() };
    let text = format!("{name}={session}; Path={path}; Max-Age={age}; HttpOnly; SameSite=Strict{secure}");
    // Hexadecimal digits and the above are always a header.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("runtrail_session=; Path=/; Max-Age=0"))
}

fn wrong_method(allowed: &'static str) -> Response {
    let problem = Problem::new(Code::MethodNotAllowed, format!("This address takes {allowed}."));
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
    let action = base::path("/login");
    let body = format!(
        "<main class=\"login-box\">
<h1>Log in to Runtrail</h1>
<form class=\"login-form\" method=\"post\" action=\"{action}\">
<input type=\"hidden\" name=\"next\" value=\"{next}\">
<label class=\"login-label\" for=\"token\">Token</label>
<input class=\"login-input\" id=\"token\" name=\"token\" type=\"password\" autocomplete=\"current-password\" spellcheck=\"false\" \
         required autofocus{invalid}>
{alert}<p class=\"login-help\" id=\"token-help\">The secret that this server was started with: <code>--token</code>.</p>
<button class=\"login-button\" type=\"submit\">Log in</button>
</form>
</main>"
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
        assert_eq!(cookie("abc", true), format!("{}; Secure", plain.to_str().unwrap()));
        assert_eq!(cookie("", false), "runtrail_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    }

    #[test]
    fn text_stays_text() {
        assert_eq!(escape("/a?b=\"><script>'&"), "/a?b=&quot;&gt;&lt;script&gt;&#39;&amp;");
    }
}
