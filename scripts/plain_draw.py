"""DRAW's training step as it is usually written in eager torch, for scripts/peers.py to measure beside the zoo's."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE, STEPS, HIDDEN, LATENT, READ, WRITE = 28, 64, 256, 100, 2, 5


class PlainDRAW(nn.Module):
    """One module for each arrow of the paper's figure 2, and a loop over time with everything in it."""

    def __init__(self, steps: int = STEPS):
        super().__init__()
        self.steps = steps
        self.encoder = nn.LSTMCell(2 * READ**2 + HIDDEN, HIDDEN)
        self.decoder = nn.LSTMCell(LATENT, HIDDEN)
        self.mean, self.log_std = nn.Linear(HIDDEN, LATENT), nn.Linear(HIDDEN, LATENT)
        self.read_window, self.write_window = nn.Linear(HIDDEN, 5), nn.Linear(HIDDEN, 5)
        self.patch = nn.Linear(HIDDEN, WRITE**2)

    @staticmethod
    def filters(numbers: Tensor, n: int) -> tuple[Tensor, Tensor, Tensor]:
        """F_X and F_Y (batch, n, SIZE), and gamma (batch, 1)."""
        x, y, log_variance, log_stride, log_gamma = numbers.float().split(1, 1)
        stride = (SIZE - 1) / (n - 1) * log_stride.exp()
        places, pixels = torch.arange(n, device=x.device), torch.arange(SIZE, device=x.device)
        banks = []
        for g in (x, y):
            centre = (SIZE + 1) / 2 * (g + 1) - 1
            mean = centre + (places - n / 2 + 0.5) * stride  # (batch, n)
            bank = torch.exp(-((pixels - mean[:, :, None]) ** 2) / (2 * log_variance.exp()[:, :, None]))
            banks.append(bank / (bank.sum(2, keepdim=True) + 1e-8))
        return banks[0], banks[1], log_gamma.exp()

    def forward(self, image: Tensor) -> Tensor:
        """The bound in nats of pictures (batch, SIZE, SIZE)."""
        batch = len(image)
        canvas = image.new_zeros(batch, SIZE, SIZE)
        h_enc, c_enc, h_dec, c_dec = (image.new_zeros(batch, HIDDEN) for _ in range(4))
        kl = 0.0
        for _ in range(self.steps):
            error = image - torch.sigmoid(canvas)
            f_x, f_y, gamma = self.filters(self.read_window(h_dec), READ)
            glimpses = [(gamma[:, :, None] * f_y @ seen @ f_x.transpose(1, 2)).flatten(1) for seen in (image, error)]
            h_enc, c_enc = self.encoder(torch.cat([*glimpses, h_dec], 1), (h_enc, c_enc))
            mean, log_std = self.mean(h_enc), self.log_std(h_enc)
            z = mean + log_std.exp() * torch.randn_like(mean)
            kl = kl + 0.5 * (mean**2 + (2 * log_std).exp() - 2 * log_std - 1).sum(1)
            h_dec, c_dec = self.decoder(z, (h_dec, c_dec))
            f_x, f_y, gamma = self.filters(self.write_window(h_dec), WRITE)
            patch = self.patch(h_dec).view(batch, WRITE, WRITE)
            canvas = canvas + f_y.transpose(1, 2) @ patch @ f_x / gamma[:, :, None]
        missed = F.binary_cross_entropy_with_logits(canvas.float(), image, reduction="none")
        return (missed.flatten(1).sum(1) + kl).mean()
