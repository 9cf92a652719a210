//! Web Locks: names that one tab of the browser at a time can hold. Called by reflection, since their `web-sys`
//! bindings are unstable.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::{Array, Function, Object, Promise, Reflect};
use leptos::task::spawn_local;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::AbortController;

use crate::base;

/// What happens to a request or its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockEvent {
    /// This tab holds it.
    Granted,
    /// Another tab stole it.
    Stolen,
    /// The browser refuses locks here.
    Unavailable,
}

/// A lock that is held or requested. Dropping it releases the lock or cancels the request.
#[derive(Debug)]
pub struct Lock {
    state: Rc<State>,
    abort: Option<AbortController>,
}

#[derive(Debug, Default)]
struct State {
    /// Resolves the promise that holds the lock.
    release: RefCell<Option<Function>>,
    is_dropped: Cell<bool>,
}

/// The browser's lock manager. Pages that came over plain HTTP from another machine have none.
fn manager() -> Option<JsValue> {
    let navigator = web_sys::window()?.navigator();
    Reflect::get(&navigator, &"locks".into()).ok().filter(JsValue::is_object)
}

/// Whether the browser has locks.
pub fn has_locks() -> bool {
    manager().is_some()
}

/// The names of the locks that any tab holds. `None` if the browser does not say.
pub async fn held_locks() -> Option<Vec<String>> {
    let manager = manager()?;
    let query: Function = Reflect::get(&manager, &"query".into()).ok()?.dyn_into().ok()?;
    let snapshot = JsFuture::from(query.call0(&manager).ok()?.dyn_into::<Promise>().ok()?).await.ok()?;
    let held: Array = Reflect::get(&snapshot, &"held".into()).ok()?.dyn_into().ok()?;
    // Servers below other paths of the host have locks too.
    let ours = base::name("");
    let name = |lock: JsValue| {
        let name = Reflect::get(&lock, &"name".into()).ok()?.as_string()?;
        name.strip_prefix(&ours).map(str::to_owned)
    };
    Some(held.iter().filter_map(name).collect())
}

impl Lock {
    /// Requests the lock and waits for it, or steals it from its holder. `None` if there are no locks.
    pub fn request(name: &str, steals: bool, on_event: impl Fn(LockEvent) + 'static) -> Option<Self> {
        let manager = manager()?;
        let request: Function = Reflect::get(&manager, &"request".into()).ok()?.dyn_into().ok()?;
        let options = Object::new();
        // A request that steals must have no signal; it does not wait either.
        let abort = if steals { None } else { AbortController::new().ok() };
        match &abort {
            Some(abort) => Reflect::set(&options, &"signal".into(), &abort.signal()).ok()?,
            None => Reflect::set(&options, &"steal".into(), &JsValue::TRUE).ok()?,
        };
        let state = Rc::new(State::default());
        let on_event = Rc::new(on_event);
        let granted = {
            let (state, on_event) = (Rc::clone(&state), Rc::clone(&on_event));
            // Freed when it is called. One that is never called leaks, which is at most one closure for each request.
            Closure::once_into_js(move || -> Promise {
                if state.is_dropped.get() {
                    return Promise::resolve(&JsValue::UNDEFINED);
                }
                let promise = Promise::new(&mut |resolve, _| {
                    state.release.replace(Some(resolve));
                });
                // Reported after the browser has the promise, since the handler may release the lock at once.
                spawn_local(async move {
                    if !state.is_dropped.get() {
                        on_event(LockEvent::Granted);
                    }
                });
                promise
            })
        };
        let requested =
            request.call3(&manager, &base::name(name).into(), &options, &granted).ok()?.dyn_into::<Promise>().ok()?;
        let observed = Rc::clone(&state);
        spawn_local(async move {
            if JsFuture::from(requested).await.is_err() && !observed.is_dropped.get() {
                let was_held = observed.release.borrow().is_some();
                on_event(if was_held { LockEvent::Stolen } else { LockEvent::Unavailable });
            }
        });
        Some(Self { state, abort })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.state.is_dropped.set(true);
        match (self.state.release.take(), &self.abort) {
            (Some(release), _) => drop(release.call0(&JsValue::UNDEFINED)),
            (None, Some(abort)) => abort.abort(),
            (None, None) => {}
        }
    }
}
