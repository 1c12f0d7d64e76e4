//! Channels that are not built.

use flumen_core::option::DefaultValue::{Absent, Is};
use flumen_core::option::ValueKind::{Boolean, Choice, Integer, List, Secret, Text};
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, Unit, ValueKind};

use super::{FROM_ONE, FROM_ZERO, kafka};

pub(super) static ROWS: &[&ComponentRow] = &[
    &SPILLABLE_MEMORY,
    &JDBC,
    &kafka::CHANNEL,
    &PSEUDO_TXN_MEMORY,
];

/// The largest data file that Flume's file channel writes, and its default.
const MAX_FILE_SIZE_BYTES: i64 = 1_623_195_647;

/// Flume's file channel never goes below this much free space.
const MINIMUM_REQUIRED_SPACE_FLOOR_BYTES: i64 = 1 << 20;

const PERCENT: ValueKind = Integer { min: 0, max: 100 };

const CHECKPOINT_DIR: OptionRow = OptionRow::new(
    "checkpointDir",
    Text,
    Is("~/.flume/file-channel/checkpoint"),
    "Directory for the checkpoint.",
);

const USE_DUAL_CHECKPOINTS: OptionRow = OptionRow::new(
    "useDualCheckpoints",
    Boolean,
    Is("false"),
    "Whether a second copy of the checkpoint is kept in backupCheckpointDir.",
);

const BACKUP_CHECKPOINT_DIR: OptionRow = OptionRow::new(
    "backupCheckpointDir",
    Text,
    Absent,
    "Directory for the second checkpoint; it must be another than checkpointDir and \
     dataDirs.",
);

const COMPRESS_BACKUP_CHECKPOINT: OptionRow = OptionRow::new(
    "compressBackupCheckpoint",
    Boolean,
    Is("false"),
    "Whether the second checkpoint is compressed.",
);

const DATA_DIRS: OptionRow = OptionRow::new(
    "dataDirs",
    Text,
    Is("~/.flume/file-channel/data"),
    "Directories for the data files, separated by commas; on different disks they are \
     faster together.",
);

const TRANSACTION_CAPACITY: OptionRow = OptionRow::new(
    "transactionCapacity",
    FROM_ONE,
    Is("10000"),
    "Most events in one transaction; at most the capacity.",
)
.unit(Unit::Events);

const CHECKPOINT_INTERVAL: OptionRow = OptionRow::new(
    "checkpointInterval",
    Integer {
        min: 1000,
        max: i64::MAX,
    },
    Is("30000"),
    "Time between two checkpoints.",
)
.unit(Unit::Milliseconds);

const MAX_FILE_SIZE: OptionRow = OptionRow::new(
    "maxFileSize",
    Integer {
        min: 1,
        max: MAX_FILE_SIZE_BYTES,
    },
    Is("1623195647"),
    "Size at which the next data file begins.",
)
.unit(Unit::Bytes);

const MINIMUM_REQUIRED_SPACE: OptionRow = OptionRow::new(
    "minimumRequiredSpace",
    Integer {
        min: MINIMUM_REQUIRED_SPACE_FLOOR_BYTES,
        max: i64::MAX,
    },
    Is("524288000"),
    "Free space on the disk below which puts and takes fail.",
)
.unit(Unit::Bytes);

const USE_LOG_REPLAY_V1: OptionRow = OptionRow::new(
    "use-log-replay-v1",
    Boolean,
    Is("false"),
    "Whether Flume's old way of replay is used.",
);

const USE_FAST_REPLAY: OptionRow = OptionRow::new(
    "use-fast-replay",
    Boolean,
    Is("false"),
    "Whether replay trades memory for speed.",
);

const CHECKPOINT_ON_CLOSE: OptionRow = OptionRow::new(
    "checkpointOnClose",
    Boolean,
    Is("true"),
    "Whether a checkpoint is written when the channel closes.",
);

const FSYNC_PER_TRANSACTION: OptionRow = OptionRow::new(
    "fsyncPerTransaction",
    Boolean,
    Is("true"),
    "Whether each commit waits for the disk; if not, a crash may lose what came since \
     the last sync.",
);

const FSYNC_INTERVAL: OptionRow = OptionRow::new(
    "fsyncInterval",
    FROM_ONE,
    Is("5"),
    "Time between two syncs when a commit does not wait for the disk.",
)
.unit(Unit::Seconds);

const ENCRYPTION_ACTIVE_KEY: OptionRow = OptionRow::new(
    "encryption.activeKey",
    Text,
    Absent,
    "Name of the key that new data is encrypted with; without it data is not encrypted.",
);

const ENCRYPTION_CIPHER_PROVIDER: OptionRow = OptionRow::new(
    "encryption.cipherProvider",
    Text,
    Absent,
    "Cipher: AESCTRNOPADDING or a Java class.",
);

const ENCRYPTION_KEY_PROVIDER: OptionRow = OptionRow::new(
    "encryption.keyProvider",
    Text,
    Absent,
    "Where keys come from: JCEKSFILE or a Java class.",
);

const ENCRYPTION_KEY_STORE_FILE: OptionRow = OptionRow::new(
    "encryption.keyProvider.keyStoreFile",
    Text,
    Absent,
    "Key store with the keys.",
);

const ENCRYPTION_KEY_STORE_PASSWORD_FILE: OptionRow = OptionRow::new(
    "encryption.keyProvider.keyStorePasswordFile",
    Text,
    Absent,
    "File with the password of the key store.",
);

const ENCRYPTION_KEYS: OptionRow = OptionRow::new(
    "encryption.keyProvider.keys",
    List,
    Absent,
    "Names of all keys that data may be encrypted with, the active one among them.",
);

const ENCRYPTION_KEY_PASSWORD_FILE: OptionRow = OptionRow::new(
    "encryption.keyProvider.keys.<key>.passwordFile",
    Text,
    Absent,
    "File with the password of this key; without it the password of the key store.",
);

static SPILLABLE_MEMORY: ComponentRow = ComponentRow {
    kind: ComponentKind::Channel,
    name: "SPILLABLEMEMORY",
    aliases: &["org.apache.flume.channel.SpillableMemoryChannel"],
    doc: "Keeps events in memory and goes over to files when memory stays full. Only \
        events in files survive a crash.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new(
            "memoryCapacity",
            FROM_ZERO,
            Is("10000"),
            "Most events in memory; with 0 all go to files.",
        )
        .unit(Unit::Events),
        OptionRow::new(
            "overflowCapacity",
            FROM_ZERO,
            Is("100000000"),
            "Most events in files; with 0 none go there.",
        )
        .unit(Unit::Events),
        OptionRow::new(
            "overflowTimeout",
            FROM_ZERO,
            Is("3"),
            "Wait for room in memory before events go to files.",
        )
        .unit(Unit::Seconds),
        OptionRow::new(
            "overflowDeactivationThreshold",
            PERCENT,
            Is("5"),
            "Room in memory at which events stop going to files.",
        )
        .unit(Unit::Percent),
        OptionRow::new(
            "byteCapacity",
            FROM_ZERO,
            Absent,
            "Most bytes of events in memory; without it 80 % of Java's heap in Flume.",
        )
        .unit(Unit::Bytes),
        OptionRow::new(
            "byteCapacityBufferPercentage",
            PERCENT,
            Is("20"),
            "Part of byteCapacity that is set aside for headers.",
        )
        .unit(Unit::Percent),
        OptionRow::new(
            "avgEventSize",
            FROM_ONE,
            Is("500"),
            "Size of an event that memory is reckoned with.",
        )
        .unit(Unit::Bytes),
        CHECKPOINT_DIR,
        USE_DUAL_CHECKPOINTS,
        BACKUP_CHECKPOINT_DIR,
        COMPRESS_BACKUP_CHECKPOINT,
        DATA_DIRS,
        TRANSACTION_CAPACITY,
        CHECKPOINT_INTERVAL,
        MAX_FILE_SIZE,
        MINIMUM_REQUIRED_SPACE,
        USE_LOG_REPLAY_V1,
        USE_FAST_REPLAY,
        CHECKPOINT_ON_CLOSE,
        FSYNC_PER_TRANSACTION,
        FSYNC_INTERVAL,
        ENCRYPTION_ACTIVE_KEY,
        ENCRYPTION_CIPHER_PROVIDER,
        ENCRYPTION_KEY_PROVIDER,
        ENCRYPTION_KEY_STORE_FILE,
        ENCRYPTION_KEY_STORE_PASSWORD_FILE,
        ENCRYPTION_KEYS,
        ENCRYPTION_KEY_PASSWORD_FILE,
    ],
};

static JDBC: ComponentRow = ComponentRow {
    kind: ComponentKind::Channel,
    name: "jdbc",
    aliases: &["org.apache.flume.channel.jdbc.JdbcChannel"],
    doc: "Keeps events in a database; in Flume only in an embedded Derby.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new("db.type", Text, Is("DERBY"), "Kind of database.")
            .aliases(&["org.apache.flume.channel.jdbc.db.type"]),
        OptionRow::new(
            "driver.class",
            Text,
            Is("org.apache.derby.jdbc.EmbeddedDriver"),
            "Java class of the driver.",
        )
        .aliases(&["org.apache.flume.channel.jdbc.driver.class"]),
        OptionRow::new(
            "driver.url",
            Text,
            Absent,
            "Address of the database; without it a Derby database below the home directory.",
        )
        .aliases(&["org.apache.flume.channel.jdbc.driver.url"]),
        OptionRow::new("db.username", Text, Is("sa"), "User to log in as.")
            .aliases(&["org.apache.flume.channel.jdbc.db.username"]),
        OptionRow::new("db.password", Secret, Absent, "Password of that user.")
            .aliases(&["org.apache.flume.channel.jdbc.db.password"]),
        OptionRow::new(
            "connection.properties.file",
            Text,
            Absent,
            "File with more settings of the connection.",
        )
        .aliases(&["org.apache.flume.channel.jdbc.connection.properties.file"]),
        OptionRow::new(
            "create.schema",
            Boolean,
            Is("true"),
            "Whether missing tables are created.",
        )
        .aliases(&["org.apache.flume.channel.jdbc.create.schema"]),
        OptionRow::new(
            "create.index",
            Boolean,
            Is("true"),
            "Whether indexes are created with them.",
        )
        .aliases(&["org.apache.flume.channel.jdbc.create.index"]),
        OptionRow::new(
            "create.foreignkey",
            Boolean,
            Is("true"),
            "Whether foreign keys are created with them.",
        )
        .aliases(&["org.apache.flume.channel.jdbc.create.foreignkey"]),
        OptionRow::new(
            "transaction.isolation",
            Choice(&[
                "READ_UNCOMMITTED",
                "READ_COMMITTED",
                "SERIALIZABLE",
                "REPEATABLE_READ",
            ]),
            Is("READ_COMMITTED"),
            "Isolation of the database's transactions.",
        )
        .aliases(&["org.apache.flume.channel.jdbc.transaction.isolation"]),
        OptionRow::new(
            "maximum.connections",
            FROM_ONE,
            Is("10"),
            "Most connections to the database at a time.",
        )
        .aliases(&["org.apache.flume.channel.jdbc.maximum.connections"]),
        OptionRow::new(
            "maximum.capacity",
            FROM_ZERO,
            Is("0"),
            "Most events in the channel; 0 is without a limit.",
        )
        .unit(Unit::Events)
        .aliases(&["org.apache.flume.channel.jdbc.maximum.capacity"]),
        OptionRow::new(
            "sysprop.<property>",
            Text,
            Absent,
            "Java system property for the driver, such as sysprop.user.home.",
        )
        .aliases(&["org.apache.flume.channel.jdbc.sysprop.<property>"]),
    ],
};

static PSEUDO_TXN_MEMORY: ComponentRow = ComponentRow {
    kind: ComponentKind::Channel,
    name: "pseudo_txn_memory",
    aliases: &["org.apache.flume.channel.PseudoTxnMemoryChannel"],
    doc: "Keeps events in memory without transactions, for Flume's own tests. The memory \
        channel takes its place.",
    support: Support::NotBuilt,
    options: &[
        OptionRow::new(
            "capacity",
            FROM_ONE,
            Is("50"),
            "Most events in the channel.",
        )
        .unit(Unit::Events),
        OptionRow::new(
            "keep-alive",
            FROM_ZERO,
            Is("3"),
            "Longest wait for an event or for room.",
        )
        .unit(Unit::Seconds),
    ],
};
