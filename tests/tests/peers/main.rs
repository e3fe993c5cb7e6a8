//! Peers on several hosts: real agents, real cables that are pulled.

mod hosts;
