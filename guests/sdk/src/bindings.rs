//! What wit-bindgen makes of `wit/`. The imports are made once, in `base`. The exports are made
//! interface by interface, because all worlds share `lifecycle` and its macro can be there only once
//! in a crate; a component uses two of these macros, and wasm-ld joins what they export to its world.
//! What a component does not use stays out of it, imports included.
//!
//! Public for the export macros alone; no promise is made about what is in here.

pub mod base {
    wit_bindgen::generate!({
        path: "wit",
        world: "flumen:plugin/base",
        generate_all,
    });
}

pub use base::flumen::plugin::{logging, metrics, settings, state, timers, types};

pub mod lifecycle {
    wit_bindgen::generate!({
        inline: "
            package flumen:sdk;
            world lifecycle-exports { export flumen:plugin/lifecycle@0.1.0; }
        ",
        path: "wit",
        with: { "flumen:plugin/types@0.1.0": super::types },
        pub_export_macro: true,
        export_macro_name: "export",
    });
    pub use exports::flumen::plugin::lifecycle::{Guest, Info};
}

pub mod interceptor {
    wit_bindgen::generate!({
        inline: "
            package flumen:sdk;
            world interceptor-exports { export flumen:plugin/interceptor-api@0.1.0; }
        ",
        path: "wit",
        with: { "flumen:plugin/types@0.1.0": super::types },
        pub_export_macro: true,
        export_macro_name: "export",
    });
    pub use exports::flumen::plugin::interceptor_api::{Answer, Guest};
}

pub mod sink {
    wit_bindgen::generate!({
        inline: "
            package flumen:sdk;
            world sink-exports { export flumen:plugin/sink-api@0.1.0; }
        ",
        path: "wit",
        with: { "flumen:plugin/types@0.1.0": super::types },
        pub_export_macro: true,
        export_macro_name: "export",
    });
    pub use exports::flumen::plugin::sink_api::{Guest, Outcome, Partial, Rejected};
}

pub mod source {
    wit_bindgen::generate!({
        inline: "
            package flumen:sdk;
            world source-exports { export flumen:plugin/source-api@0.1.0; }
        ",
        path: "wit",
        with: { "flumen:plugin/types@0.1.0": super::types },
        pub_export_macro: true,
        export_macro_name: "export",
    });
    pub use exports::flumen::plugin::source_api::{Guest, Next, Polled};
}
