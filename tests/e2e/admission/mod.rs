//! What the API server lets in and what it refuses, and with which words.

mod edits;
mod invalid;
mod kubectl;
mod table;
mod unreadable;
mod valid;
