//! Why a call did not succeed, and what the host does about it.

use std::fmt::{self, Display};
use std::io;
use std::str::Utf8Error;
use std::string::FromUtf8Error;

use crate::bindings::types;

/// Why a call did not succeed. The kind decides what the host does; the message is for the
/// operator: lower case, no full stop, names the thing that failed and the remedy.
///
/// `?` turns an [`io::Error`] into a transient or a configuration error and text that is not UTF-8
/// into a poison error; [`ErrorContext`] says the kind of any other error.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The settings are wrong: nothing helps until they change.
    Configuration(String),
    /// The same may succeed later: the host tries again after a back-off.
    Transient {
        /// For the operator.
        message: String,
        /// The least wait in milliseconds.
        retry_after_ms: Option<u32>,
    },
    /// This batch can never succeed: the host takes it out of the flow.
    Poison(String),
    /// This instance is broken: the host makes another and tries the batch again.
    Broken(String),
}

impl Error {
    /// The settings are wrong: nothing helps until they change.
    pub fn configuration(message: impl Into<String>) -> Self {
        Error::Configuration(message.into())
    }

    /// The same may succeed later.
    pub fn transient(message: impl Into<String>) -> Self {
        Error::Transient {
            message: message.into(),
            retry_after_ms: None,
        }
    }

    /// The same may succeed after this many milliseconds.
    pub fn transient_after(wait_ms: u32, message: impl Into<String>) -> Self {
        Error::Transient {
            message: message.into(),
            retry_after_ms: Some(wait_ms),
        }
    }

    /// This batch can never succeed.
    pub fn poison(message: impl Into<String>) -> Self {
        Error::Poison(message.into())
    }

    /// This instance is broken.
    pub fn broken(message: impl Into<String>) -> Self {
        Error::Broken(message.into())
    }

    /// What the operator reads.
    pub fn message(&self) -> &str {
        match self {
            Error::Configuration(message) | Error::Poison(message) | Error::Broken(message) => {
                message
            }
            Error::Transient { message, .. } => message,
        }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    /// What the set-up forbids or lacks is a configuration error; all else may pass.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::NotFound
            | io::ErrorKind::Unsupported => Error::configuration(error.to_string()),
            _ => Error::transient(error.to_string()),
        }
    }
}

impl From<Utf8Error> for Error {
    /// Text that is not UTF-8 never will be.
    fn from(error: Utf8Error) -> Self {
        Error::poison(error.to_string())
    }
}

impl From<FromUtf8Error> for Error {
    /// Text that is not UTF-8 never will be.
    fn from(error: FromUtf8Error) -> Self {
        Error::from(error.utf8_error())
    }
}

impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Configuration(message) => types::Error::Configuration(message),
            Error::Transient {
                message,
                retry_after_ms,
            } => types::Error::Transient((message, retry_after_ms)),
            Error::Poison(message) => types::Error::Poison(message),
            Error::Broken(message) => types::Error::Broken(message),
        }
    }
}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::Configuration(message) => Error::Configuration(message),
            types::Error::Transient((message, retry_after_ms)) => Error::Transient {
                message,
                retry_after_ms,
            },
            types::Error::Poison(message) => Error::Poison(message),
            types::Error::Broken(message) => Error::Broken(message),
        }
    }
}

/// Gives an error of another library its kind and says what failed:
/// `Regex::new(pattern).or_configuration("setting `pattern`")?`.
pub trait ErrorContext<T> {
    /// Nothing helps until the settings change.
    ///
    /// # Errors
    /// [`Error::Configuration`] with `what` before the error's own text.
    fn or_configuration(self, what: &str) -> Result<T, Error>;

    /// The same may succeed later.
    ///
    /// # Errors
    /// [`Error::Transient`] with `what` before the error's own text.
    fn or_transient(self, what: &str) -> Result<T, Error>;

    /// This batch can never succeed.
    ///
    /// # Errors
    /// [`Error::Poison`] with `what` before the error's own text.
    fn or_poison(self, what: &str) -> Result<T, Error>;

    /// This instance is broken.
    ///
    /// # Errors
    /// [`Error::Broken`] with `what` before the error's own text.
    fn or_broken(self, what: &str) -> Result<T, Error>;
}

impl<T, E: Display> ErrorContext<T> for Result<T, E> {
    fn or_configuration(self, what: &str) -> Result<T, Error> {
        self.map_err(|error| Error::configuration(format!("{what}: {error}")))
    }

    fn or_transient(self, what: &str) -> Result<T, Error> {
        self.map_err(|error| Error::transient(format!("{what}: {error}")))
    }

    fn or_poison(self, what: &str) -> Result<T, Error> {
        self.map_err(|error| Error::poison(format!("{what}: {error}")))
    }

    fn or_broken(self, what: &str) -> Result<T, Error> {
        self.map_err(|error| Error::broken(format!("{what}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_io_error_is_transient_unless_the_set_up_forbids_it() {
        let refused = Error::from(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert!(matches!(refused, Error::Transient { .. }), "{refused:?}");
        let denied = Error::from(io::Error::from(io::ErrorKind::PermissionDenied));
        assert!(matches!(denied, Error::Configuration(_)), "{denied:?}");
    }

    #[test]
    fn context_says_the_kind_and_what_failed() {
        let number: Result<u8, Error> = "x".parse::<u8>().or_poison("level");
        assert_eq!(
            number,
            Err(Error::poison("level: invalid digit found in string"))
        );
    }

    #[test]
    fn every_kind_crosses_the_border_and_back() {
        for error in [
            Error::configuration("a"),
            Error::transient("b"),
            Error::transient_after(7, "c"),
            Error::poison("d"),
            Error::broken("e"),
        ] {
            assert_eq!(Error::from(types::Error::from(error.clone())), error);
        }
    }
}
