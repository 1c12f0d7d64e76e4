//! The one shape of a future that crosses a contract.

use std::future::Future;
use std::pin::Pin;

/// A boxed future. One is made per batch, never per event, so the allocation does not show.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A future that is ready at once, for implementations that never wait.
pub fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    Box::pin(std::future::ready(value))
}
