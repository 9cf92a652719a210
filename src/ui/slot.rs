//! A place for a handle of the browser (a timer, an observer), which must stay on its thread and ends with its owner.

use std::marker::PhantomData;

#[cfg(feature = "hydrate")]
use leptos::prelude::{LocalStorage, SetValue, StoredValue};

/// Keeps one handle; what it had before is dropped, and so is what it has when its owner goes.
///
/// On the server it keeps nothing: there a page's owner may be dropped on another thread than it was made on.
pub struct Slot<T: 'static> {
    #[cfg(feature = "hydrate")]
    value: StoredValue<Option<T>, LocalStorage>,
    of: PhantomData<fn() -> T>,
}

impl<T: 'static> Clone for Slot<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: 'static> Copy for Slot<T> {}

impl<T: 'static> Slot<T> {
    /// An empty place.
    pub fn new() -> Self {
        Self {
            #[cfg(feature = "hydrate")]
            value: StoredValue::new_local(None),
            of: PhantomData,
        }
    }

    /// Keeps this from now on. Nothing is kept once the owner is gone.
    pub fn keep(self, handle: T) {
        #[cfg(feature = "hydrate")]
        drop(self.value.try_set_value(Some(handle)));
        #[cfg(not(feature = "hydrate"))]
        drop(handle);
    }
}
