//! Texts judged by what they could do where they are run: evidence of injection, in classes, with scores.
//!
//! A text is looked at as an attacker's target would read it, and what is found adds up over one request.
//! Nothing here knows of requests, documents or refusals.
