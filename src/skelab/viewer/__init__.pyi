from .film import write_film as write_film
from .page import (
    json_text as json_text,
    player_data as player_data,
    player_element as player_element,
    player_script as player_script,
    player_style as player_style,
    render_page as render_page,
)
from .picture import (
    draw_frame as draw_frame,
    draw_strip as draw_strip,
)
from .reading import open_clip as open_clip
from .scene import (
    Answer as Answer,
    Evidence as Evidence,
    Links as Links,
    Pane as Pane,
    Scene as Scene,
    scene_of as scene_of,
)
from .show import (
    View as View,
    view as view,
)
