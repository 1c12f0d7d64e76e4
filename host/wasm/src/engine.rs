//! The engine: one for the process, with a thread that counts time for it.

use std::thread;

use flumen_core::{Fault, FaultKind, Side};
use wasmtime::{Config, Engine, EngineWeak};

use crate::limits::{FIBER_STACK_BYTES, STACK_BYTES, TICK};

/// Makes the engine and starts its ticker, which ends with it.
pub(crate) fn engine() -> Result<Engine, Fault> {
    let mut config = Config::new();
    config
        // Sync-typed exports on fibers: a call costs a quarter of what it costs otherwise.
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES);
    let engine = Engine::new(&config).map_err(|error| machine("cannot start wasm", error))?;
    let ticked = engine.weak();
    // A thread of its own: on busy cores a task would not tick, and then nothing would stop the
    // guest that keeps them busy.
    thread::Builder::new()
        .name("flumen-wasm-tick".into())
        .spawn(move || tick(&ticked))
        .map_err(|error| {
            Fault::transient(Side::Machine, "cannot start the thread that counts time")
                .with_cause(error)
        })?;
    Ok(engine)
}

fn tick(engine: &EngineWeak) {
    loop {
        thread::sleep(TICK);
        match engine.upgrade() {
            Some(engine) => engine.increment_epoch(),
            None => return,
        }
    }
}

/// A failure of wasmtime that is nobody's configuration.
pub(crate) fn machine(message: impl Into<String>, error: wasmtime::Error) -> Fault {
    Fault::new(FaultKind::Transient, Side::Machine, message)
        .with_cause(error.into_boxed_dyn_error())
}
