//! The simulated node: its library's side of the conversation, one step at a time.
