//! What the export macros expand to: the one instance of a component and its life. Public for the
//! macros alone; no promise is made about what is in here.

use std::cell::RefCell;

use crate::bindings::types;
use crate::error::Error;
#[cfg(target_arch = "wasm32")]
use crate::settings::Settings;

/// The instance of a component: none before `init`.
pub struct Slot<T>(RefCell<Option<T>>);

impl<T> Slot<T> {
    /// No instance yet.
    pub const fn new() -> Self {
        Slot(RefCell::new(None))
    }

    /// Makes the instance from the settings that the host gives. A panic shows in the operator's log
    /// from here on; without that only the trap would, which does not say why.
    ///
    /// # Errors
    /// What `init` says.
    #[cfg(target_arch = "wasm32")]
    pub fn start(
        &self,
        init: impl FnOnce(&Settings) -> Result<T, Error>,
    ) -> Result<(), types::Error> {
        std::panic::set_hook(Box::new(|panic| {
            crate::logging::write(crate::logging::Level::Error, format_args!("{panic}"));
        }));
        let settings = Settings::from_iter(crate::host::settings());
        let instance = init(&settings)?;
        self.0.replace(Some(instance));
        Ok(())
    }

    /// Calls the instance.
    ///
    /// # Errors
    /// What the call says, or [`types::Error::Broken`] when there is no instance.
    pub fn call<A, B: From<A>>(
        &self,
        call: impl FnOnce(&mut T) -> Result<A, Error>,
    ) -> Result<B, types::Error> {
        match self.0.try_borrow_mut().as_deref_mut() {
            Ok(Some(instance)) => Ok(call(instance)?.into()),
            Ok(None) => Err(types::Error::Broken("called before init".to_owned())),
            Err(_) => Err(types::Error::Broken("called from within a call".to_owned())),
        }
    }

    /// Calls the instance, if there is one, where no answer is asked for.
    pub fn tell(&self, call: impl FnOnce(&mut T)) {
        if let Ok(Some(instance)) = self.0.try_borrow_mut().as_deref_mut() {
            call(instance);
        }
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Slot::new()
    }
}

/// The interface `lifecycle`, the same for all kinds, and the kind's own `body` on Wasm; elsewhere a check of the type, so that a wrong one is found by `cargo test`.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_instance {
    ($type:ty, $trait:path, { $($body:tt)* }) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            ::std::thread_local! {
                static INSTANCE: $crate::export::Slot<$type> =
                    const { $crate::export::Slot::new() };
            }

            struct FlumenComponent;

            impl $crate::bindings::lifecycle::Guest for FlumenComponent {
                fn describe() -> $crate::bindings::lifecycle::Info {
                    $crate::bindings::lifecycle::Info {
                        name: ::std::borrow::ToOwned::to_owned(::core::env!("CARGO_PKG_NAME")),
                        version: ::std::borrow::ToOwned::to_owned(::core::env!(
                            "CARGO_PKG_VERSION"
                        )),
                    }
                }

                fn init() -> ::core::result::Result<(), $crate::bindings::types::Error> {
                    INSTANCE.with(|slot| slot.start(<$type as $trait>::init))
                }

                fn shutdown() {
                    INSTANCE.with(|slot| slot.tell(<$type as $trait>::shutdown));
                }
            }

            $crate::bindings::lifecycle::export!(
                FlumenComponent with_types_in $crate::bindings::lifecycle
            );

            $($body)*
        };

        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || {
            fn implements<T: $trait>() {}
            implements::<$type>();
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_before_init_and_a_call_within_a_call_are_errors() {
        let slot = Slot::<u32>::new();
        let answer: Result<u32, _> = slot.call(|value| Ok(*value));
        assert!(matches!(answer, Err(types::Error::Broken(_))));
        slot.0.replace(Some(7));
        let answer: Result<u32, _> = slot.call(|value| {
            let inner: Result<u32, _> = slot.call(|value| Ok(*value));
            assert!(matches!(inner, Err(types::Error::Broken(_))));
            Ok(*value)
        });
        assert_eq!(answer.ok(), Some(7));
    }
}
