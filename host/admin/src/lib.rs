//! What is seen from outside over HTTP: metrics. Talks to the agent's handle only.
