//! The page that says whether somebody is logged in.

use super::document;

/// The page. It names nobody.
pub(in crate::roles::catalog) fn account_page(is_known: bool) -> String {
    let (title, rest) = if is_known {
        ("You are logged in", "<form method=\"post\" action=\"logout\"><button type=\"submit\">Log out</button></form>")
    } else {
        ("You are not logged in", "<p class=\"note\">Open a link to a media or to a contact to log in.</p>")
    };
    document(title, &format!("<main><h1>{title}</h1>{rest}</main>"))
}
