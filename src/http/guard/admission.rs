//! Who may make a request (docs/CONTRACT.md, "Access"): they show a token or a login's cookie, or a trusted proxy names them, and their
//! role allows it.
//!
//! Open to everybody is only what says nothing about runs: the two health checks, the login page, and what that page loads; and calls of
//! hooks, which are signed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client::{Client, over_tls};
use super::origin::SEC_FETCH_SITE;
use super::proxy::ProxyUser;
use super::shown::{self, Shown};
use super::slow::Verdict;
use super::want::Want;
use super::{Guard, landing, login};
use crate::access::{Access, Granted, policy};
use crate::base;
use crate::model::identity::OWNER;
use crate::model::{AuthMethod, Problem, ProblemCode, Role};
use crate::runs::Actor;

impl Granted {
    /// Everybody, where no token is needed.
    pub(super) fn open(ends: CancellationToken) -> Self {
        Self { name: OWNER.to_owned(), role: Role::Admin, via: AuthMethod::Open, session: None, parent: None, ends }
    }

    /// Who makes a request, as journals name them.
    pub fn actor(&self, through: &'static str, peer: Option<SocketAddr>) -> Actor {
        let address = peer.map(|peer| peer.ip().to_canonical());
        let (name, parent) = (self.name.clone(), self.parent.clone());
        Actor { name, role: self.role, via: self.via, address, through, parent }
    }
}

/// The address that a request comes from.
pub(super) fn peer<B>(request: &Request<B>) -> Option<SocketAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer)
}

/// Lets requests pass whose makers are known and may make them; answers the login's own addresses.
pub async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let want = Want::of(&request);
    let Some(access) = &guard.access else {
        return match want {
            // A bookmark of the time when there was a token.
            Want::Login | Want::Logout => see_other("/"),
            _ => admit(Granted::open(guard.stop.clone()), request, next).await,
        };
    };
    match want {
        Want::Open => return next.run(request).await,
        Want::Login => return login::login(&guard, access, request).await,
        Want::Script => return login::script(),
        Want::Logout | Want::Page | Want::Call => {}
    }
    // Without its body it can be looked at while something is waited for.
    let (head, body) = request.into_parts();
    let head = Request::from_parts(head, ());
    let granted = match identify(&guard, access, &head, &want).await {
        Ok(granted) => granted,
        Err(answer) => return *answer,
    };
    if want == Want::Logout {
        return login::logout(&guard, access, &granted, &head).await;
    }
    if let Err(problem) = allow(&granted, &head) {
        let actor = granted.actor("the API", peer(&head));
        access.note_refused(&actor, &format!("{} {}", head.method(), head.uri().path()), &problem);
        return problem.into_response();
    }
    let (head, ()) = head.into_parts();
    admit(granted, Request::from_parts(head, body), next).await
}

/// Goes on with a request whose maker is known to all behind the guard.
async fn admit(granted: Granted, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(granted);
    next.run(request).await
}

/// Who makes a request.
///
/// # Errors
/// What is answered, if that is not known.
async fn identify(
    guard: &Guard,
    access: &Access,
    request: &Request<()>,
    want: &Want,
) -> Result<Granted, Box<Response>> {
    let tls = guard.secure || over_tls(request);
    let headers = request.headers();
    let ask = |what| if *want == Want::Page { ask_person(request, tls) } else { ask_program(what) };
    let user = request.extensions().get::<ProxyUser>().filter(|_| shown::token(headers).is_none());
    if let Some(user) = user {
        let detail = || format!("The user `{}` has no role here. --user-role gives one.", user.0);
        let granted = guard.proxies.admit(user, guard.stop.clone());
        return granted.ok_or_else(|| Box::new(Problem::new(ProblemCode::Forbidden, detail()).into_response()));
    }
    let away = |error: crate::store::StoreError| Box::new(Problem::from(error).into_response());
    match Shown::by(headers, tls) {
        // To log out of nothing is to be logged out.
        None if *want == Want::Logout => Err(Box::new(login::logged_out(guard, request))),
        None => Err(Box::new(ask("This server needs a token."))),
        Some(Shown::Session(cookie)) => match access.by_cookie(cookie).await.map_err(away)? {
            Some(granted) => Ok(granted),
            None if *want == Want::Logout => Err(Box::new(login::logged_out(guard, request))),
            // Nobody guesses 256 bits: no need to slow it down.
            None => {
                let mut answer = ask("The login is over.");
                answer.headers_mut().append(header::SET_COOKIE, login::cookie("", tls));
                Err(Box::new(answer))
            }
        },
        Some(Shown::Token(secret)) => {
            let client = Client::of(request);
            let granted = access.by_token(secret).await.map_err(away)?;
            match (guard.slowdown.judge(client, granted.is_some(), guard.is_strong, Instant::now()), granted) {
                (Verdict::Right, Some(granted)) => Ok(granted),
                (Verdict::Busy(wait), _) => Err(Box::new(too_many(&Later::after(wait)))),
                (Verdict::Right, None) => Err(Box::new(ask("The token is not this server's."))),
                (Verdict::Wrong(wait), _) => {
                    tracing::warn!(%client, "a request with a wrong token");
                    access.note_wrong(peer(request).map(|peer| peer.ip().to_canonical().to_string()), "token");
                    tokio::time::sleep(wait).await;
                    Err(Box::new(ask("The token is not this server's.")))
                }
            }
        }
    }
}

/// Whether somebody may make this request.
///
/// # Errors
/// [`ProblemCode::Forbidden`], [`ProblemCode::PersonRequired`], [`ProblemCode::SessionKeyMissing`].
fn allow(granted: &Granted, request: &Request<()>) -> Result<(), Problem> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let needs = policy::needs(reads, request.uri().path());
    if !granted.role.allows(needs.role) {
        return Err(forbidden(granted, needs.role));
    }
    if needs.person && !granted.via.is_person() {
        let detail = "Questions are answered by people who have logged in, not with a token. Open the run's page.";
        return Err(Problem::new(ProblemCode::PersonRequired, detail));
    }
    let key = shown::key(request.headers(), request.uri());
    if !reads && granted.session.as_ref().is_some_and(|session| !session.admits(key)) {
        let detail = format!(
            "A change needs more than the login's cookie, which browsers send to every port of this host. Make it on a page, or log \
             in again at {}.",
            base::path("/login")
        );
        return Err(Problem::new(ProblemCode::SessionKeyMissing, detail));
    }
    Ok(())
}

/// The role of whoever asks is not enough.
pub fn forbidden(granted: &Granted, needed: Role) -> Problem {
    let detail = format!(
        "This needs the role {needed}; {} has the role {}. An admin can give another one.",
        granted.name, granted.role
    );
    Problem::new(ProblemCode::Forbidden, detail)
}

/// A problem for a program, with the challenge that RFC 9110, section 15.5.2 wants, in RFC 6750's form.
fn ask_program(what: &str) -> Response {
    let how = format!("Send one as `Authorization: Bearer TOKEN`, or log in at {}.", base::path("/login"));
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"runtrail\"")];
    (challenge, Problem::new(ProblemCode::Unauthorized, format!("{what} {how}"))).into_response()
}

/// The login form for a person, who comes back here afterwards.
fn ask_person(request: &Request<()>, tls: bool) -> Response {
    let here = request.uri().path_and_query().map_or("/", |here| here.as_str());
    let site = request.headers().get(&SEC_FETCH_SITE).map(HeaderValue::as_bytes);
    // A link on another site, in a chat or a mail: browsers hold a SameSite=Strict cookie back, so a logged-in person seems
    // not to be. Our own page asks again, and now the cookie comes; the browser's word tells the second time from the first.
    if matches!(site, Some(b"cross-site" | b"same-site")) && shown::cookie(request.headers(), tls).is_none() {
        return login::once_more(&base::path(landing::local(here)));
    }
    see_other(&landing::login_url(here))
}

/// When to try again, in the whole seconds that `Retry-After` has.
pub(super) struct Later(u64);

impl Later {
    /// No earlier than this.
    pub(super) fn after(wait: Duration) -> Self {
        Self(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    }

    /// For a person.
    pub(super) fn sentence(&self) -> String {
        format!("Too many wrong tokens came from your address. Try again in {} s.", self.0)
    }

    /// For a program.
    pub(super) fn header(&self) -> [(HeaderName, String); 1] {
        [(header::RETRY_AFTER, self.0.to_string())]
    }
}

fn too_many(later: &Later) -> Response {
    (later.header(), Problem::new(ProblemCode::TooManyAttempts, later.sentence())).into_response()
}

/// Go there with a GET, and ask again the next time.
pub(super) fn see_other(to: &str) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Redirect::to(to)).into_response()
}
