"""Networks whose files people have and that are not known here, so that a message can name them.

Told by parts of the names of arrays, which are facts of their programs: most as spandrel 0.4.2
tells them; those for video as BasicSR, mmagic and the authors' programs make them.
"""

from collections.abc import Iterable
from typing import NamedTuple


class Stranger(NamedTuple):
    """A network that is not known here.

    Attributes:
      name: what people call it.
      parts: of names of its arrays; each is in one of them.
      is_video: it takes several frames at once.
    """

    name: str
    parts: tuple[str, ...]
    is_video: bool = False


STRANGERS = (
    Stranger('EDVR', ('pcd_align.', 'fusion.'), True),
    Stranger('RealBasicVSR', ('image_cleaning.', 'spynet.'), True),
    Stranger('VRT or RVRT', ('spynet.', 'stage1.'), True),
    Stranger('BasicVSR', ('spynet.', 'backward_'), True),
    Stranger('a network of optical flow', ('spynet.basic_module.',), True),
    Stranger('TecoGAN', ('fnet.', 'srnet.'), True),
    Stranger('RIFE', ('block0.conv0.', 'block1.conv0.'), True),
    Stranger('AuraSR', ('mid_attn.layers.0.0.to_out.', 'final_res_block.')),
    Stranger('CRAFT', ('layers.0.residual_group.hf_blocks.',)),
    Stranger('DCTLSA', ('B1.body.0.transformer_body.', 'fea_conv.')),
    Stranger('DITN', ('UFONE.0.ITLs.',)),
    Stranger('DRUNet', ('m_head.weight', 'm_down1.0.res.', 'm_up1.')),
    Stranger('FBCNN', ('m_body_encoder.', 'm_down1.0.res.')),
    Stranger('FDAT', ('groups.0.blocks.0.attn.bias', 'groups.0.blocks.0.inter.')),
    Stranger('GFPGAN', ('stylegan_decoder.',)),
    Stranger('GRL', ('attn.window_attn.', 'attn.stripe_attn.')),
    Stranger('KBNet', ('intro.', 'encoders.0.0.attgamma')),
    Stranger('LaMa', ('model.1.bn_l.',)),
    Stranger('MMRealSR', ('conv_first.', 'am_list.')),
    Stranger('MoESR', ('in_to_dim.', 'blocks.0.blocks.0.gamma')),
    Stranger('NAFNet', ('intro.', 'middle_blks.0.beta')),
    Stranger('PLKSR', ('feats.1.lk.', 'channe_mixer.')),
    Stranger('RealCUGAN', ('unet1.conv1.conv.',)),
    Stranger('RestoreFormer', ('quantize.embedding.', 'encoder.conv_in.')),
    Stranger('Restormer', ('patch_embed.proj.', 'encoder_level1.0.')),
    Stranger('SAFMN', ('to_feat.', 'feats.0.safm.')),
    Stranger('SCUNet', ('m_head.0.', 'm_down1.0.trans_block.')),
    Stranger('SwiftSRGAN', ('initial.cnn.depthwise.',)),
    Stranger('Swin2SR', ('patch_embed.proj.', 'attn.logit_scale')),
    Stranger('Uformer', ('input_proj.proj.', 'encoderlayer_0.')),
    Stranger('a diffusion model', ('model.diffusion_model.',)),
    Stranger('EDSR', ('conv_first.', 'body.0.conv1.', 'upsample.0.')),
)


VIDEO = ', a network for video, which takes several frames at once'


def describe(names: Iterable[str]) -> str:
    """What the arrays of a file look like, as the middle of a message; '' if like nothing here."""
    joined = '\n'.join(names)
    for stranger in STRANGERS:
        if all(part in joined for part in stranger.parts):
            return f'look like the weights of {stranger.name}{VIDEO if stranger.is_video else ""}'
    return ''
