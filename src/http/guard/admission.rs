//! Authentication and authorization (docs/CONTRACT.md, "Access"): a request carries a token or a session's cookie, or a
//! trusted proxy names its user, and the role must allow it.
//!
//! Public routes reveal nothing about runs: the health checks, `security.txt`, and the login page with what it loads.
//! Calls of hooks pass as well, since `http/hooks` verifies their signature.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::attempt_limiter::AttemptVerdict;
use super::client::{Client, is_over_tls};
use super::credential::{self, Credential};
use super::origin::SEC_FETCH_SITE;
use super::proxy::ProxyUser;
use super::route_class::RouteClass;
use super::{Guard, login, return_path};
use crate::access::{Access, Principal, forbidden, policy};
use crate::base;
use crate::model::{Problem, ProblemCode};
use crate::store::StoreError;

/// The address that a request comes from.
pub(super) fn peer<B>(request: &Request<B>) -> Option<SocketAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer)
}

/// The layer: passes requests whose principal is known and allowed to make them, and answers the login routes itself.
pub async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let class = match RouteClass::of(&request) {
        RouteClass::Login | RouteClass::Logout | RouteClass::LoginScript | RouteClass::Page if !guard.has_pages => {
            RouteClass::Api
        }
        class => class,
    };
    let Some(access) = &guard.access else {
        return match class {
            // A bookmark from a time when the server required a token.
            RouteClass::Login | RouteClass::Logout => redirect_to("/"),
            _ => pass(Principal::anonymous_admin(guard.stop.clone()), request, next).await,
        };
    };
    match class {
        RouteClass::Public => return next.run(request).await,
        RouteClass::Login => return login::login(&guard, access, request).await,
        RouteClass::LoginScript => return login::script(),
        RouteClass::Logout | RouteClass::Page | RouteClass::Api => {}
    }
    // The body is not `Sync`, so the head is shared across the awaits without it.
    let (head, body) = request.into_parts();
    let head = Request::from_parts(head, ());
    let principal = match authenticate(&guard, access, &head, class).await {
        Ok(principal) => principal,
        Err(response) => return *response,
    };
    if class == RouteClass::Logout {
        return login::logout(&guard, access, &principal, &head).await;
    }
    if let Err(problem) = authorize(&principal, &head) {
        let actor = principal.actor("the API", peer(&head));
        access.audit_rejection(&actor, &format!("{} {}", head.method(), head.uri().path()), &problem);
        return problem.into_response();
    }
    let (head, ()) = head.into_parts();
    pass(principal, Request::from_parts(head, body), next).await
}

/// Passes a request to the handlers, which find its principal in the extensions.
async fn pass(principal: Principal, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(principal);
    next.run(request).await
}

/// Who makes a request.
///
/// # Errors
/// The response, if that is unknown.
async fn authenticate(
    guard: &Guard,
    access: &Access,
    request: &Request<()>,
    class: RouteClass,
) -> Result<Principal, Box<Response>> {
    let is_tls = guard.is_https_only || is_over_tls(request);
    let headers = request.headers();
    let reject = |reason| match class {
        RouteClass::Page => Box::new(redirect_to_login(request, is_tls)),
        _ => Box::new(unauthorized(reason)),
    };
    let user = request.extensions().get::<ProxyUser>().filter(|_| credential::token(headers).is_none());
    if let Some(user) = user {
        let detail = || format!("The user `{}` has no role here. --user-role gives one.", user.0);
        let principal = guard.proxies.principal(user, guard.stop.clone());
        return principal.ok_or_else(|| Box::new(Problem::new(ProblemCode::Forbidden, detail()).into_response()));
    }
    let unavailable = |error: StoreError| Box::new(Problem::from(error).into_response());
    match Credential::of(headers, is_tls) {
        // Logging out without a session succeeds.
        None if class == RouteClass::Logout => Err(Box::new(login::logged_out(guard, request))),
        None => Err(reject("This server requires a token.")),
        Some(Credential::Session(cookie)) => match access.by_cookie(cookie).await.map_err(unavailable)? {
            Some(principal) => Ok(principal),
            None if class == RouteClass::Logout => Err(Box::new(login::logged_out(guard, request))),
            // Cookies have 256 random bits, so guessing them needs no limiter.
            None => {
                let mut response = reject("Your session has expired.");
                response.headers_mut().append(header::SET_COOKIE, login::cookie("", is_tls));
                Err(response)
            }
        },
        Some(Credential::Token(secret)) => {
            let client = Client::of(request);
            let principal = access.by_token(secret).await.map_err(unavailable)?;
            match (guard.check_attempt(client, principal.is_some()), principal) {
                (AttemptVerdict::Accept, Some(principal)) => Ok(principal),
                (AttemptVerdict::Throttle(wait), _) => Err(Box::new(too_many_attempts(&RetryAfter::no_earlier(wait)))),
                (AttemptVerdict::Accept, None) => Err(reject("Wrong token.")),
                (AttemptVerdict::Reject(delay), _) => {
                    tracing::warn!(%client, "rejected a request with an invalid token");
                    let address = peer(request).map(|peer| peer.ip().to_canonical().to_string());
                    access.audit_invalid_credential(address, "token");
                    tokio::time::sleep(delay).await;
                    Err(reject("Wrong token."))
                }
            }
        }
    }
}

/// Whether the principal may make this request.
///
/// # Errors
/// [`ProblemCode::Forbidden`], [`ProblemCode::PersonRequired`], [`ProblemCode::SessionKeyMissing`].
fn authorize(principal: &Principal, request: &Request<()>) -> Result<(), Problem> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let requirement = policy::requirement(is_read, request.uri().path());
    if !principal.role.allows(requirement.role) {
        return Err(forbidden(principal, requirement.role));
    }
    if requirement.needs_person && !principal.via.is_person() {
        let detail = "Questions are answered by people who have logged in, not with a token. Open the run's page.";
        return Err(Problem::new(ProblemCode::PersonRequired, detail));
    }
    let key = credential::session_key(request.headers(), request.uri());
    if !is_read && principal.session.as_ref().is_some_and(|session| !session.is_key_valid(key)) {
        let detail = format!(
            "A change needs more than the login's cookie, which browsers send to every port of this host. Make it on a page, or log \
             in again at {}.",
            base::path("/login")
        );
        return Err(Problem::new(ProblemCode::SessionKeyMissing, detail));
    }
    Ok(())
}

/// The 401 for a program, with the challenge that RFC 9110, section 15.5.2 requires, as RFC 6750 defines it.
fn unauthorized(reason: &str) -> Response {
    let remedy = format!("Send one as `Authorization: Bearer TOKEN`, or log in at {}.", base::path("/login"));
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"runtrail\"")];
    (challenge, Problem::new(ProblemCode::Unauthorized, format!("{reason} {remedy}"))).into_response()
}

/// The redirect to the login form for a person, which leads back here after the login.
fn redirect_to_login(request: &Request<()>, is_tls: bool) -> Response {
    let here = request.uri().path_and_query().map_or("/", |here| here.as_str());
    let site = request.headers().get(&SEC_FETCH_SITE).map(HeaderValue::as_bytes);
    // Browsers do not send a SameSite=Strict cookie with a link on another site, in a chat or a mail, so a person with
    // a session looks logged out. A page of this server reloads the address: then the cookie is sent, and
    // `Sec-Fetch-Site` is `same-origin`.
    if matches!(site, Some(b"cross-site" | b"same-site")) && credential::cookie(request.headers(), is_tls).is_none() {
        return login::reload_page(&base::path(return_path::local_path(here)));
    }
    redirect_to(&return_path::login_url(here))
}

/// The value of `Retry-After`, in whole seconds.
pub(super) struct RetryAfter(u64);

impl RetryAfter {
    /// Rounds up.
    pub(super) fn no_earlier(wait: Duration) -> Self {
        Self(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    }

    pub(super) fn sentence(&self) -> String {
        format!("Too many wrong tokens came from your address. Try again in {} s.", self.0)
    }

    pub(super) fn header(&self) -> [(HeaderName, String); 1] {
        [(header::RETRY_AFTER, self.0.to_string())]
    }
}

fn too_many_attempts(retry_after: &RetryAfter) -> Response {
    (retry_after.header(), Problem::new(ProblemCode::TooManyAttempts, retry_after.sentence())).into_response()
}

/// A 303 that is not cached, so that the browser follows with a GET and asks again the next time.
pub(super) fn redirect_to(path: &str) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Redirect::to(path)).into_response()
}
