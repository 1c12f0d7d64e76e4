//! The interface in Rust, generated from `wit/`. The three worlds share one set of imports, so the
//! host implements each of them once.

// The generated names of the imports do not differ from world to world.
pub(crate) use interceptor::flumen::plugin::{logging, metrics, settings, state, timers, types};

pub(crate) mod interceptor {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "interceptor",
        imports: {
            "flumen:plugin/timers.sleep-ms": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        with: {
            "flumen:plugin/types.batch": crate::columns::GuestBatch,
            "flumen:plugin/metrics.counter": crate::figures::CounterHandle,
            "flumen:plugin/metrics.gauge": crate::figures::GaugeHandle,
        },
    });
}

pub(crate) mod sink {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "sink",
        exports: { default: async },
        with: {
            "flumen:plugin/types": crate::bindings::interceptor::flumen::plugin::types,
            "flumen:plugin/logging": crate::bindings::interceptor::flumen::plugin::logging,
            "flumen:plugin/metrics": crate::bindings::interceptor::flumen::plugin::metrics,
            "flumen:plugin/settings": crate::bindings::interceptor::flumen::plugin::settings,
            "flumen:plugin/state": crate::bindings::interceptor::flumen::plugin::state,
            "flumen:plugin/timers": crate::bindings::interceptor::flumen::plugin::timers,
        },
    });
}

pub(crate) mod source {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "source",
        exports: { default: async },
        with: {
            "flumen:plugin/types": crate::bindings::interceptor::flumen::plugin::types,
            "flumen:plugin/logging": crate::bindings::interceptor::flumen::plugin::logging,
            "flumen:plugin/metrics": crate::bindings::interceptor::flumen::plugin::metrics,
            "flumen:plugin/settings": crate::bindings::interceptor::flumen::plugin::settings,
            "flumen:plugin/state": crate::bindings::interceptor::flumen::plugin::state,
            "flumen:plugin/timers": crate::bindings::interceptor::flumen::plugin::timers,
        },
    });
}
