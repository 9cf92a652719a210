//! A browser handle (timer, observer) that is dropped with its reactive owner.

use std::marker::PhantomData;

#[cfg(feature = "hydrate")]
use leptos::prelude::{GetValue, LocalStorage, SetValue, StoredValue};

/// Holds at most one handle, and drops it when it is replaced or the owner is cleaned up.
///
/// On the server it holds nothing: an owner may be dropped there on another thread than the one that created it.
pub struct ScopedHandle<T: 'static> {
    #[cfg(feature = "hydrate")]
    value: StoredValue<Option<T>, LocalStorage>,
    of: PhantomData<fn() -> T>,
}

impl<T: 'static> Clone for ScopedHandle<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: 'static> Copy for ScopedHandle<T> {}

impl<T: 'static> ScopedHandle<T> {
    pub fn new() -> Self {
        Self {
            #[cfg(feature = "hydrate")]
            value: StoredValue::new_local(None),
            of: PhantomData,
        }
    }

    /// Replaces the handle. After the owner is cleaned up, `handle` is dropped at once.
    pub fn replace(self, handle: T) {
        #[cfg(feature = "hydrate")]
        drop(self.value.try_set_value(Some(handle)));
        #[cfg(not(feature = "hydrate"))]
        drop(handle);
    }
}

impl<T: Clone + 'static> ScopedHandle<T> {
    /// The handle, if there is one and the owner is alive.
    pub fn get(self) -> Option<T> {
        #[cfg(feature = "hydrate")]
        return self.value.try_get_value().flatten();
        #[cfg(not(feature = "hydrate"))]
        None
    }
}
