"""The two small pages in front of a universe that asks for a token."""

from __future__ import annotations

import base64
import hashlib
from html import escape

_STYLE = """:root { color-scheme: dark light; font: 16px/1.6 system-ui, sans-serif }
body { max-width: 34rem; margin: 18vh auto 0; padding: 0 1.5rem }
h1 { font-size: 1.5rem; font-weight: 600 }
form { display: flex; gap: .5rem; margin-top: 1.5rem }
input, button { font: inherit; padding: .4rem .8rem; border: 1px solid #8888; border-radius: .5rem }
input { flex: 1; min-width: 0 }
code { overflow-wrap: anywhere }"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

SIGN_IN_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
                               "base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


def sign_in_page(wrong: bool) -> str:
    """Says that a token is needed, in English and Korean, and takes one.

    Args:
        wrong: whether one was given that is not it.
    """
    remark = "<p role='alert'>That is not the token. 토큰이 맞지 않습니다.</p>" if wrong else ""
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Vector Universe</title><style>{_STYLE}</style>
<main><h1>This universe asks for its token</h1>{remark}
<p>Open the whole address that <code>vu serve</code> printed, with <code>?token=…</code> at its end, or paste the token
here. Programs send it as <code>Authorization: Bearer TOKEN</code>.</p>
<p lang="ko"><code>vu serve</code>가 보여 준 주소 전체를 열거나 토큰을 여기에 붙여 넣으세요.</p>
<form><input name="token" type="password" aria-label="Token" autocomplete="current-password" required autofocus>
<button>Open</button></form></main></html>
"""


def entered_page(address: str) -> str:
    """Leads on to an address of this server."""
    return f"""<!doctype html><html lang="en"><meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={escape(address)}"><title>Vector Universe</title></html>
"""
