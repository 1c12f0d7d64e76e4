//! The TLS options that Flume's servers and clients share, one constant each, to be named in the
//! options of a component.

use flumen_core::option::DefaultValue::{Absent, Is};
use flumen_core::option::OptionRow;
use flumen_core::option::ValueKind::{Boolean, Choice, List, Secret, Text};

/// The formats of key and trust stores that Flume reads.
const STORE_TYPES: &[&str] = &["JKS", "PKCS12"];

pub(super) const SSL: OptionRow =
    OptionRow::new("ssl", Boolean, Is("false"), "Whether connections use TLS.");

pub(super) const KEYSTORE: OptionRow = OptionRow::new(
    "keystore",
    Text,
    Absent,
    "File with the certificate and the key of the server. Needed with ssl unless a \
     key store is set for the whole process.",
);

pub(super) const KEYSTORE_PASSWORD: OptionRow = OptionRow::new(
    "keystore-password",
    Secret,
    Absent,
    "Password of the key store.",
);

pub(super) const KEYSTORE_TYPE: OptionRow = OptionRow::new(
    "keystore-type",
    Choice(STORE_TYPES),
    Is("JKS"),
    "Format of the key store.",
);

pub(super) const TRUST_ALL_CERTS: OptionRow = OptionRow::new(
    "trust-all-certs",
    Boolean,
    Is("false"),
    "Whether any certificate of the server is believed, without a check.",
);

pub(super) const TRUSTSTORE: OptionRow = OptionRow::new(
    "truststore",
    Text,
    Absent,
    "File with the certificates to believe; without it the certificates of the system.",
);

pub(super) const TRUSTSTORE_PASSWORD: OptionRow = OptionRow::new(
    "truststore-password",
    Secret,
    Absent,
    "Password of the trust store.",
);

pub(super) const TRUSTSTORE_TYPE: OptionRow = OptionRow::new(
    "truststore-type",
    Choice(STORE_TYPES),
    Is("JKS"),
    "Format of the trust store.",
);

pub(super) const INCLUDE_PROTOCOLS: OptionRow = OptionRow::new(
    "include-protocols",
    List,
    Absent,
    "TLS versions to allow; without it all but the excluded ones.",
);

pub(super) const EXCLUDE_PROTOCOLS: OptionRow = OptionRow::new(
    "exclude-protocols",
    List,
    Absent,
    "TLS versions to refuse. SSLv3 is always refused.",
);

pub(super) const INCLUDE_CIPHER_SUITES: OptionRow = OptionRow::new(
    "include-cipher-suites",
    List,
    Absent,
    "Cipher suites to allow; without it all but the excluded ones.",
);

pub(super) const EXCLUDE_CIPHER_SUITES: OptionRow = OptionRow::new(
    "exclude-cipher-suites",
    List,
    Absent,
    "Cipher suites to refuse.",
);
