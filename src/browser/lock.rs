//! Web Locks: names that one tab of the browser at a time can hold.
//!
//! Called through reflection, since the bindings of `web-sys` for them are not stable yet.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::{Array, Function, Object, Promise, Reflect};
use leptos::task::spawn_local;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::AbortController;

use crate::base;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockEvent {
    /// This tab holds it.
    Granted,
    /// Another tab took it.
    Stolen,
    /// The browser gives no locks here.
    Unavailable,
}

/// A lock that is held or waited for; dropping it gives it back or calls the request off.
#[derive(Debug)]
pub struct Lock {
    state: Rc<State>,
    abort: Option<AbortController>,
}

#[derive(Debug, Default)]
struct State {
    /// Ends the promise that keeps the lock.
    release: RefCell<Option<Function>>,
    dropped: Cell<bool>,
}

/// The browser's lock manager, where there is one: pages that come over plain HTTP from another machine have none.
fn manager() -> Option<JsValue> {
    let navigator = web_sys::window()?.navigator();
    Reflect::get(&navigator, &"locks".into()).ok().filter(JsValue::is_object)
}

/// Whether the browser gives locks.
pub fn has_locks() -> bool {
    manager().is_some()
}

/// The names of the locks that some tab holds. `None` if the browser does not tell.
pub async fn held_locks() -> Option<Vec<String>> {
    let manager = manager()?;
    let query: Function = Reflect::get(&manager, &"query".into()).ok()?.dyn_into().ok()?;
    let snapshot = JsFuture::from(query.call0(&manager).ok()?.dyn_into::<Promise>().ok()?).await.ok()?;
    let held: Array = Reflect::get(&snapshot, &"held".into()).ok()?.dyn_into().ok()?;
    // Servers below other paths of the host have locks, too.
    let ours = base::name("");
    let name = |lock: JsValue| {
        let name = Reflect::get(&lock, &"name".into()).ok()?.as_string()?;
        name.strip_prefix(&ours).map(str::to_owned)
    };
    Some(held.iter().filter_map(name).collect())
}

impl Lock {
    /// Asks for the lock, and waits for it; with `steal`, takes it from whoever holds it. `None` if there are no locks.
    pub fn request(name: &str, steal: bool, told: impl Fn(LockEvent) + 'static) -> Option<Self> {
        let manager = manager()?;
        let request: Function = Reflect::get(&manager, &"request".into()).ok()?.dyn_into().ok()?;
        let options = Object::new();
        // A request that steals takes no signal; it does not wait either.
        let abort = if steal { None } else { AbortController::new().ok() };
        match &abort {
            Some(abort) => Reflect::set(&options, &"signal".into(), &abort.signal()).ok()?,
            None => Reflect::set(&options, &"steal".into(), &JsValue::TRUE).ok()?,
        };
        let state = Rc::new(State::default());
        let told = Rc::new(told);
        let granted = {
            let (state, told) = (Rc::clone(&state), Rc::clone(&told));
            // Freed when it is called; one that never is stays until the page goes, which is one a request.
            Closure::once_into_js(move || -> Promise {
                if state.dropped.get() {
                    return Promise::resolve(&JsValue::UNDEFINED);
                }
                let kept = Promise::new(&mut |resolve, _| {
                    state.release.replace(Some(resolve));
                });
                // After the browser has the promise: who hears of it may let go at once.
                spawn_local(async move {
                    if !state.dropped.get() {
                        told(LockEvent::Granted);
                    }
                });
                kept
            })
        };
        let asked =
            request.call3(&manager, &base::name(name).into(), &options, &granted).ok()?.dyn_into::<Promise>().ok()?;
        let watched = Rc::clone(&state);
        spawn_local(async move {
            if JsFuture::from(asked).await.is_err() && !watched.dropped.get() {
                let held = watched.release.borrow().is_some();
                told(if held { LockEvent::Stolen } else { LockEvent::Unavailable });
            }
        });
        Some(Self { state, abort })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.state.dropped.set(true);
        match (self.state.release.take(), &self.abort) {
            (Some(release), _) => drop(release.call0(&JsValue::UNDEFINED)),
            (None, Some(abort)) => abort.abort(),
            (None, None) => {}
        }
    }
}
