"""What an app has to do, in the words of the framework that it is made with.

*proxy*: believe the headers of the proxy; *xml*: answer with TwiML; *route*: take a method at a
path, ``{method}`` and ``{path}``; *form*: read a form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from smsquest_cli.wire import Answer

_FLASK: Final = {
    "proxy": "Flask: app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1, x_host=1)",
    "xml": 'Flask: return Response(str(resp), mimetype="text/xml")',
    "route": 'Flask: @app.{method}("{path}")',
    "form": 'Flask: request.form["Body"], not request.json',
}
_FASTAPI: Final = {
    "proxy": "uvicorn: --proxy-headers --forwarded-allow-ips 127.0.0.1",
    "xml": 'FastAPI: return Response(str(resp), media_type="text/xml")',
    "route": 'FastAPI: @app.{method}("{path}")',
    "form": "FastAPI: Body: Annotated[str, Form()], not a model",
}
_DJANGO: Final = {
    "proxy": "Django: SECURE_PROXY_SSL_HEADER and USE_X_FORWARDED_HOST",
    "xml": 'Django: HttpResponse(str(resp), content_type="text/xml")',
    "route": 'Django: let the view of "{path}" take {method}',
    "form": 'Django: request.POST["Body"], not json.loads(request.body)',
}
_EXPRESS: Final = {
    "proxy": 'Express: app.set("trust proxy", true)',
    "xml": 'Express: res.type("text/xml").send(resp.toString())',
    "route": 'Express: app.{method}("{path}", ...)',
    "form": "Express: app.use(express.urlencoded({ extended: false }))",
}
_BY_SERVER: Final = {"uvicorn": _FASTAPI, "wsgiserver": _DJANGO}  # how the header begins


def cure(answer: Answer, what: str) -> str:
    """How the app that gave *answer* mends *what*, judged by the server that it runs on."""
    if (answer.header("X-Powered-By") or "").startswith("Express"):
        return _EXPRESS[what]
    server = (answer.header("Server") or "").lower()
    for maker, cures in _BY_SERVER.items():
        if server.startswith(maker):
            return cures[what]
    return _FLASK[what]
