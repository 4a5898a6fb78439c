"""`{% part %}` and `{% box %}`: what is given reaches the component, whatever it is called."""

from django.template import Context, Template


def rendered(text: str) -> str:
    return Template("{% load parts %}" + text).render(Context())


def test_a_button_can_have_a_name_and_a_value() -> None:
    html = rendered('{% part "button" type="submit" name="on" value="1" label="Switch on" %}')
    assert '<button type="submit" name="on" value="1"' in html
    assert "Switch on" in html


def test_a_box_takes_its_contents_and_a_name() -> None:
    html = rendered('{% box "notice" kind="warn" name="unused" %}<b>Careful</b>{% endbox %}')
    assert "<b>Careful</b>" in html
    assert "notice-warn" in html
