"""Catch (section 4.4): a ball falls down a binary screen, and the paddle at the bottom must be under it.

The paper fixes the screen (24 x 24 pixels, 0 or 1), the ball (one pixel, from the top), the paddle (two pixels, at the
bottom), the actions (left, right, stay) and the reward (1 for a catch, else 0). It does not say where ball and paddle
start, how fast they are, or whether the ball moves sideways; what stands for that in :class:`Rules` is our choice.

Many games at once: every field of a state has the same shape, and no function knows which.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from zoo.nn.random import uniform

ACTIONS = ("left", "stay", "right")  # action a moves the paddle by a - 1
STREAM = 3  # of the numbers that start a game; the player's own noise has streams 0 to 2


class Rules(NamedTuple):
    """Lengths are in pixels, speeds in pixels a frame. The ball falls one pixel a frame (our choice)."""

    size: int = 24  # side of the screen
    width: int = 2  # of the paddle
    speed: int = 1  # of the paddle (our choice)
    drift: bool = False  # True: the ball also moves one column a frame and bounces off the walls (our choice)
    random_paddle: bool = True  # False: the paddle starts in the middle (our choice)

    @property
    def frames(self) -> int:
        """Frames with a decision: from the ball in the top row to the ball one row above the paddle."""
        return self.size - 1


class State(NamedTuple):
    """All (...,) int64, in pixels from the top-left corner."""

    x: Tensor  # column of the ball
    y: Tensor  # row of the ball
    drift: Tensor  # columns that the ball moves in a frame: -1, 0 or 1
    paddle: Tensor  # leftmost column of the paddle


def start(key: Tensor, rules: Rules) -> State:
    """One game for each key, the ball in a random column of the top row (our choice): fields (batch,)."""
    column, paddle, direction = uniform(key, 3, stream=STREAM).unbind(1)
    places = rules.size - rules.width + 1
    return State(
        x=(column * rules.size).long(),
        y=torch.zeros_like(key),
        drift=2 * (direction * 2).long() - 1 if rules.drift else torch.zeros_like(key),
        paddle=(paddle * places).long() if rules.random_paddle else torch.full_like(key, places // 2),
    )


def move(state: State, action: Tensor, rules: Rules) -> State:
    """The next frame. action: (...,) int64, an index into :data:`ACTIONS`."""
    ahead = state.x + state.drift
    drift = torch.where((ahead < 0) | (ahead >= rules.size), -state.drift, state.drift)
    paddle = state.paddle + rules.speed * (action - 1)
    return State(state.x + drift, state.y + 1, drift, paddle.clamp(0, rules.size - rules.width))


def screen(state: State, rules: Rules) -> Tensor:
    """(..., 1, size, size) float32, 1 where ball or paddle is and else 0."""
    x, y, paddle = (field[..., None, None] for field in (state.x, state.y, state.paddle))
    columns = torch.arange(rules.size, device=state.x.device)
    rows = columns[:, None]
    ball = (rows == y) & (columns == x)
    board = (rows == rules.size - 1) & (columns >= paddle) & (columns < paddle + rules.width)
    return (ball | board).float().unsqueeze(-3)


def caught(state: State, rules: Rules) -> Tensor:
    """Whether the paddle is under the ball: (...,) bool, the reward once the ball is in the bottom row."""
    return (state.x >= state.paddle) & (state.x < state.paddle + rules.width)
