"""The layout of the gallery, in Gradio: models, the fields that they ask for, and a frame for each answer."""

import html
from collections.abc import Iterable
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from zoo.commands.gallery.fields import LONGEST, TEXTS, asked, first_sample
from zoo.commands.gallery.models import about, alike, loaded, names, refused, shown
from zoo.errors import ZooError
from zoo.pipelines import Pipeline

WEB = files("zoo.commands.gallery") / "web"
PLACES = 3  # text fields that are there for a model's
OTHERS = ("digit", "picture", "visits", "number")  # kinds with a component of their own
NONE = "none"
FIRST = "ram.mnist28_7"


def build() -> gr.Blocks:
    """The page."""
    choices = names()
    with gr.Blocks(title="Attention zoo", analytics_enabled=False, fill_width=True) as demo:
        gr.Markdown("# Attention zoo\nGive a model an input, and see where it looks.")
        with gr.Row():
            name = gr.Dropdown(choices, value=first(), label="model", elem_id="name")
            beside = gr.Dropdown([NONE], value=NONE, label="beside it", elem_id="beside")
        said = gr.Markdown(elem_id="about")
        texts = [gr.Textbox(visible=False, elem_id=f"text{i}") for i in range(PLACES)]
        with gr.Row():
            others = [
                _own("digit"),
                _own("picture"),
                _own("visits"),
                gr.Number(visible=False, precision=0, elem_id="number"),
            ]
        with gr.Accordion("options", open=False):
            options = gr.Textbox(label="options", info="of the model, as in beam=3 block=0", elem_id="options")
        go = gr.Button("Look", variant="primary", elem_id="look")
        with gr.Row():
            frames = [gr.HTML(elem_id=f"answer{i}", visible=i == 0) for i in range(2)]
        link = gr.HTML(elem_id="link")
        fields = [*texts, *others]
        asking = [name, beside, options, *fields]
        quiet = {"api_visibility": "private"}
        one_by_one = {**quiet, "concurrency_id": "look", "concurrency_limit": 1}  # warnings are of the whole process
        name.input(choose, name, [beside, said, *fields], **quiet)
        go.click(look, asking, [*frames, link], **one_by_one)
        for text in texts:
            text.submit(look, asking, [*frames, link], **one_by_one)
        opened = demo.load(open_link, None, [name, beside, said, options, *fields], **quiet)
        opened.then(look_at_once, asking, [*frames, link], **one_by_one)
    return demo


def _own(kind: str) -> gr.HTML:
    """A component that is ours: a file of HTML and one of JavaScript."""
    template, script = ((WEB / f"{kind}.{ending}").read_text(encoding="utf-8") for ending in ("html", "js"))
    return gr.HTML(
        value=None, html_template=template, js_on_load=script, visible=False, elem_id=kind, size=28, digit=28, places=[]
    )


def choose(name: str) -> list[Any]:
    """What changes with the model: those that may stand beside it, what is said of it, and the fields."""
    pipe = loaded(name)
    return [gr.update(choices=[NONE, *alike(name)], value=NONE), about(name), *_fields(pipe, first_sample(pipe))]


def _fields(pipe: Pipeline, given: dict[str, Any]) -> list[Any]:
    """Updates of all fields, in which those that a model asks for are seen."""
    wanted = asked(pipe)
    texts = [(name, kind) for name, kind in wanted.items() if kind in TEXTS]
    updates = []
    for place in range(PLACES):
        field, kind = texts[place] if place < len(texts) else ("", "")
        label = field + (" (may be empty)" if kind == "line?" else "")
        updates.append(
            gr.update(visible=bool(field), label=label, lines=4 if kind == "text" else 1, value=given.get(field, ""))
        )
    for kind in OTHERS:
        field = next((field for field, its in wanted.items() if its == kind), None)
        updates.append(_update(pipe, kind, field, given))
    return updates


def _update(pipe: Pipeline, kind: str, field: str | None, given: dict[str, Any]) -> Any:
    if field is None:
        return gr.update(visible=False)
    if kind == "number":
        return gr.update(visible=True, label=field, value=given.get(field, 1))
    if kind == "visits":
        places = [[place, *pipe.coordinates[i].tolist()] for place, i in pipe.places.items()]
        return gr.HTML(visible=True, value=given.get(field, ""), places=places)
    how = pipe.config.get("preprocess", {})
    return gr.HTML(visible=True, size=how.get("size", 28), digit=how.get("digit", how.get("size", 28)))


def given_to(name: str, values: Iterable[Any]) -> dict[str, Any]:
    """The fields that a model asks for, of the values of all components in their order."""
    values, wanted = list(values), asked(loaded(name))
    texts = [field for field, kind in wanted.items() if kind in TEXTS]
    found = dict(zip(texts, values, strict=False))
    for kind, value in zip(OTHERS, values[PLACES:], strict=True):
        found |= {field: value for field, its in wanted.items() if its == kind}
    return found


def look(name: str, beside: str, options: str, *values: Any) -> list[Any]:
    """The frames of one or two answers, and a link to them."""
    models = [name, *([beside] if beside not in (None, "", NONE) else [])]
    try:
        given = given_to(name, values)
    except ZooError as error:
        return [refused(str(error)), gr.update(value="", visible=False), ""]
    first, second = [shown(model, given, options) for model in models], gr.update(value="", visible=False)
    if len(first) > 1:
        second = gr.update(value=first[1], visible=True)
    return [first[0], second, _link(name, beside, options, given)]


def _link(name: str, beside: str, options: str, given: dict[str, Any]) -> str:
    """A link that opens with the same text; nothing for pictures, which no link holds."""
    text = next((str(value) for field, kind in asked(loaded(name)).items() if kind in (*TEXTS, "visits", "number")
                 for value in [given.get(field)] if value), "")  # fmt: skip
    if len(text) > 2000:
        return ""
    query = {"name": name, "text": text, "beside": beside if beside != NONE else "", "options": options or ""}
    href = "?" + urlencode({key: value for key, value in query.items() if value})
    return f'<a href="{html.escape(href, quote=True)}">link to this</a>'


def open_link(request: gr.Request) -> list[Any]:
    """The model and the input that the address names, or those to begin with."""
    query = dict(request.query_params)
    name = query.get("name") if query.get("name") in names() else first()
    pipe = loaded(name)
    given = first_sample(pipe)
    if "text" in query:
        field, kind = next(iter(asked(pipe).items()))
        text = query["text"][:LONGEST]
        given[field] = (int(text) if text.isdecimal() and len(text) < 9 else 1) if kind == "number" else text
    others = alike(name)
    other = query["beside"] if query.get("beside") in others else NONE
    choices = gr.update(choices=[NONE, *others], value=other)
    return [name, choices, about(name), query.get("options", ""), *_fields(pipe, given)]


def look_at_once(request: gr.Request, name: str, beside: str, options: str, *values: Any) -> list[Any]:
    """The answer to what the address names; nothing where it names none."""
    query = dict(request.query_params)
    if query.get("name", name) not in names():
        return [shown(query["name"], {}), gr.update(visible=False), ""]
    return look(name, beside, options, *values) if "text" in query else ["", gr.update(visible=False), ""]


def first() -> str:
    """The model to begin with."""
    return FIRST if FIRST in names() else names()[0]


def launch(port: int | None = None, wait: bool = True) -> tuple[gr.Blocks, str]:
    """Starts the server, for this machine alone; returns the page and its address."""
    demo = build()
    demo.queue(default_concurrency_limit=1)
    _, address, _ = demo.launch(
        server_name="127.0.0.1",
        server_port=port,
        share=False,
        ssr_mode=False,
        mcp_server=False,
        run_history=False,
        quiet=True,
        prevent_thread_lock=not wait,
        footer_links=[],
        theme=gr.themes.Default(font="system-ui", font_mono="monospace"),
        css=(WEB / "gallery.css").read_text(encoding="utf-8"),
        js=(WEB / "frames.js").read_text(encoding="utf-8"),
    )
    return demo, address


def serve(port: int | None) -> None:
    """Serves until Ctrl-C; raises ZooError for a port that is taken."""
    try:
        demo, address = launch(port, wait=False)
    except OSError as error:
        raise ZooError(f"no server can be started on port {port or 7860} ({error})") from None
    print(f"The gallery is at {address} until Ctrl-C", flush=True)
    demo.block_thread()
