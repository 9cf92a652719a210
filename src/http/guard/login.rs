//! The login form, and the session's cookie. Plain HTML, which works without scripts.

use axum::body::Body;
use axum::extract::{FromRequest, Query, Request};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::{Form, Json};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::super::body;
use super::Guard;
use super::admission::{RetryAfter, peer, redirect_to};
use super::attempt_limiter::AttemptVerdict;
use super::client::{Client, is_over_tls};
use super::credential::cookie_name;
use super::return_path;
use crate::access::{Access, BrowserInfo, LoginCredential, LoginError, LoginSecrets, Principal};
use crate::base;
use crate::model::{Problem, ProblemCode};

/// Where pages store the key of their session (`browser/key.rs`).
pub const KEY_STORAGE_NAME: &str = "runtrail-key";

/// How long browsers keep the cookie: 30 days, as long as a session lasts.
const COOKIE_MAX_AGE_SECONDS: u32 = 30 * 24 * 60 * 60;

#[derive(Deserialize)]
struct LoginQuery {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
struct LoginForm {
    /// Typed by a person.
    #[serde(default)]
    token: String,
    /// From a login link.
    #[serde(default)]
    code: String,
    #[serde(default)]
    next: String,
}

/// The response to the script of the login page.
#[derive(Serialize)]
struct LoginResponse<'a> {
    /// Where the login leads.
    next: &'a str,
    /// The key that the session's pages send with changes.
    key: Option<&'a str>,
}

/// `/login`
pub async fn login(guard: &Guard, access: &Access, request: Request) -> Response {
    match *request.method() {
        Method::GET | Method::HEAD => {
            let query = Query::<LoginQuery>::try_from_uri(request.uri());
            let next = query.map(|Query(query)| query.next).unwrap_or_default();
            form_page(StatusCode::OK, return_path::local_path(&next), None)
        }
        Method::POST => submit(guard, access, request).await,
        _ => method_not_allowed("GET, HEAD, POST"),
    }
}

/// `/login.js`
pub fn script() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (headers, include_str!("login.js")).into_response()
}

/// `/logout`: ends the session and its streams.
pub async fn logout(guard: &Guard, access: &Access, principal: &Principal, request: &Request<()>) -> Response {
    if request.method() != Method::POST {
        return method_not_allowed("POST");
    }
    if let Some(session) = &principal.session
        && let Err(error) = access.log_out(session, &principal.actor("the page", peer(request))).await
    {
        return Problem::from(error).into_response();
    }
    logged_out(guard, request)
}

/// The response to a logout, also without a session.
pub fn logged_out(guard: &Guard, request: &Request<()>) -> Response {
    if request.method() != Method::POST {
        return method_not_allowed("POST");
    }
    let mut response = redirect_to("/login");
    let is_tls = guard.is_https_only || is_over_tls(request);
    response.headers_mut().append(header::SET_COOKIE, cookie("", is_tls));
    // Clears the whole host, so not if the server is below a path of it.
    if base::current().is_root() {
        let everything = HeaderValue::from_static("\"cache\", \"cookies\", \"storage\"");
        response.headers_mut().insert("clear-site-data", everything);
    }
    response
}

/// How a login answers: JSON for the script of the login page, HTML without scripts.
struct LoginResponder<'a> {
    has_script: bool,
    next: &'a str,
    is_tls: bool,
}

impl LoginResponder<'_> {
    fn logged_in(&self, secrets: &LoginSecrets) -> Response {
        let mut response = if self.has_script {
            let next = base::path(self.next);
            let body = LoginResponse { next: &next, key: secrets.key.as_deref() };
            ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
        } else {
            redirect_to(self.next)
        };
        response.headers_mut().append(header::SET_COOKIE, cookie(&secrets.cookie, self.is_tls));
        response
    }

    fn rejected(&self, status: StatusCode, code: ProblemCode, sentence: &str) -> Response {
        match self.has_script {
            true => Problem::new(code, sentence).into_response(),
            false => form_page(status, self.next, Some(sentence)),
        }
    }

    fn throttled(&self, retry_after: &RetryAfter) -> Response {
        let sentence = retry_after.sentence();
        let response = self.rejected(StatusCode::TOO_MANY_REQUESTS, ProblemCode::TooManyAttempts, &sentence);
        (retry_after.header(), response).into_response()
    }
}

async fn submit(guard: &Guard, access: &Access, request: Request) -> Response {
    let (client, is_tls) = (Client::of(&request), guard.is_https_only || is_over_tls(&request));
    let has_script = text_header(&request, header::ACCEPT) == Some("application/json");
    let agent = text_header(&request, header::USER_AGENT).map(str::to_owned);
    let address = peer(&request).map(|peer| peer.ip().to_canonical().to_string());
    let form = match read_form(request).await {
        Ok(form) => form,
        Err(problem) => return problem.into_response(),
    };
    let responder = LoginResponder { has_script, next: return_path::local_path(&form.next), is_tls };
    // A code in the form wins over a token. Tokens are trimmed, since the `Authorization` header cannot carry outer
    // spaces either.
    let is_code = !form.code.is_empty();
    let credential = match is_code {
        true => LoginCredential::Code(&form.code),
        false => LoginCredential::Token(form.token.trim()),
    };
    // Checked before the credential is, since a valid login code would be used up.
    if guard.attempts.is_throttled(client, Instant::now()) && !guard.has_strong_token {
        return responder.throttled(&RetryAfter::no_earlier(guard.attempts.retry_after(client, Instant::now())));
    }
    let secrets = match access.log_in(credential, BrowserInfo { address: address.clone(), agent, has_script }).await {
        Ok(secrets) => Some(secrets),
        Err(LoginError::Invalid) => None,
        Err(LoginError::Write(error)) => return Problem::from(error).into_response(),
        Err(LoginError::NoRandomness(error)) => return Problem::from(error).into_response(),
    };
    let wrong_token = || responder.rejected(StatusCode::UNAUTHORIZED, ProblemCode::Unauthorized, "Wrong token.");
    match (guard.check_attempt(client, secrets.is_some()), secrets) {
        (AttemptVerdict::Accept, Some(secrets)) => responder.logged_in(&secrets),
        (AttemptVerdict::Throttle(wait), _) => responder.throttled(&RetryAfter::no_earlier(wait)),
        (AttemptVerdict::Reject(delay), _) => {
            let what = if is_code { "login link" } else { "login" };
            tracing::warn!(%client, what, "rejected a login with an invalid credential");
            access.audit_invalid_credential(address, what);
            tokio::time::sleep(delay).await;
            if !is_code {
                return wrong_token();
            }
            let sentence = "This login link was already used or has expired. `runtrail login` prints a new one.";
            responder.rejected(StatusCode::UNAUTHORIZED, ProblemCode::Unauthorized, sentence)
        }
        (AttemptVerdict::Accept, None) => wrong_token(),
    }
}

fn text_header(request: &Request, name: HeaderName) -> Option<&str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

async fn read_form(request: Request) -> Result<LoginForm, Problem> {
    let (head, body) = request.into_parts();
    let bytes = body::read(body).await?;
    let form = Form::<LoginForm>::from_request(Request::from_parts(head, Body::from(bytes)), &()).await.ok();
    let form = form.map(|Form(form)| form).filter(|form| !form.token.is_empty() || !form.code.is_empty());
    let detail = "Send a form (application/x-www-form-urlencoded) with the field `token`.";
    form.ok_or_else(|| Problem::new(ProblemCode::InvalidBody, detail))
}

/// The cookie of a session; an empty value deletes it. Scripts cannot read it, other sites' requests do not carry it,
/// and behind TLS it is never sent unencrypted.
pub fn cookie(session: &str, is_tls: bool) -> HeaderValue {
    let age = if session.is_empty() { 0 } else { COOKIE_MAX_AGE_SECONDS };
    let secure = if is_tls { "; Secure" } else { "" };
    let (name, path) = (cookie_name(is_tls), base::current());
    let path = if path.is_root() { "/" } else { path.as_str() };
    let text = format!("{name}={session}; Path={path}; Max-Age={age}; HttpOnly; SameSite=Strict{secure}");
    // Always valid: the session is base64url, and the rest is fixed.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("runtrail_session=; Path=/; Max-Age=0"))
}

fn method_not_allowed(allowed: &'static str) -> Response {
    let problem = Problem::new(ProblemCode::MethodNotAllowed, format!("This address takes {allowed}."));
    ([(header::ALLOW, allowed)], problem).into_response()
}

/// The page with the form. `next` has passed [`return_path::local_path`], and is escaped all the same.
fn form_page(status: StatusCode, next: &str, error: Option<&str>) -> Response {
    let title = if error.is_some() { "Error: Log in · Runtrail" } else { "Log in · Runtrail" };
    let next = escape(next);
    let (invalid, alert) = match error {
        Some(error) => (
            " aria-invalid=\"true\" aria-describedby=\"token-error token-help\"",
            format!("<p class=\"login-error\" id=\"token-error\" role=\"alert\">{}</p>\n", escape(error)),
        ),
        None => (" aria-describedby=\"token-help\"", String::new()),
    };
    let (action, key, script) = (base::path("/login"), base::name(KEY_STORAGE_NAME), base::path("/login.js"));
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
    let mut response = (status, [(header::CACHE_CONTROL, "no-store")], page(title, "", &body)).into_response();
    if status == StatusCode::UNAUTHORIZED {
        // RFC 9110, section 15.5.2 requires a challenge. Browsers show no dialog for this scheme.
        let challenge = HeaderValue::from_static("Bearer realm=\"runtrail\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// A page that reloads `next`, so that the browser sends the cookie: see [`super::admission`].
pub fn reload_page(next: &str) -> Response {
    let next = escape(next);
    let refresh = format!("<meta http-equiv=\"refresh\" content=\"0; url={next}\">\n");
    let body = format!("<main class=\"login-box\"><p><a href=\"{next}\">Continue to Runtrail</a></p></main>");
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

/// Escapes text for an element or a quoted attribute.
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
    fn session_cookie_is_strict_and_secure_behind_tls() {
        let plain = cookie("abc", false);
        assert_eq!(plain, "runtrail_session=abc; Path=/; Max-Age=2592000; HttpOnly; SameSite=Strict");
        assert_eq!(cookie("abc", true), format!("__Host-{}; Secure", plain.to_str().unwrap()));
        assert_eq!(cookie("", false), "runtrail_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    }

    #[test]
    fn login_page_escapes_text() {
        assert_eq!(escape("/a?b=\"><script>'&"), "/a?b=&quot;&gt;&lt;script&gt;&#39;&amp;");
    }
}
