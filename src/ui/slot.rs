//! Holds a handle of the browser (a timer, an observer), which must stay on its thread and ends with its reactive
//! owner.

use std::marker::PhantomData;

#[cfg(feature = "hydrate")]
use leptos::prelude::{GetValue, LocalStorage, SetValue, StoredValue};

/// Holds one handle; a new one drops the one before.
///
/// On the server it holds nothing: there a page's owner may be disposed of on another thread than it was made on.
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
    /// An empty slot.
    pub fn new() -> Self {
        Self {
            #[cfg(feature = "hydrate")]
            value: StoredValue::new_local(None),
            of: PhantomData,
        }
    }

    /// Holds this handle from now on. Drops it if the owner is disposed of already.
    pub fn keep(self, handle: T) {
        #[cfg(feature = "hydrate")]
        drop(self.value.try_set_value(Some(handle)));
        #[cfg(not(feature = "hydrate"))]
        drop(handle);
    }
}

impl<T: Clone + 'static> Slot<T> {
    /// The handle, if there is one.
    pub fn get(self) -> Option<T> {
        #[cfg(feature = "hydrate")]
        return self.value.try_get_value().flatten();
        #[cfg(not(feature = "hydrate"))]
        None
    }
}
