"""The actions of NTU RGB+D 60 and 120 by name; label 0 is action A001.

Source: shahroudy/NTURGB-D@ac2ebc8, README.
"""

from typing import Final

NTU60_CLASSES: Final = (
    *("drink water", "eat meal", "brush teeth", "brush hair", "drop", "pick up", "throw"),
    *("sit down", "stand up", "clapping", "reading", "writing", "tear up paper", "put on jacket"),
    *("take off jacket", "put on a shoe", "take off a shoe", "put on glasses"),
    *("take off glasses", "put on a hat or cap", "take off a hat or cap", "cheer up"),
    *("hand waving", "kicking something", "reach into pocket", "hopping", "jump up"),
    *("phone call", "play with phone or tablet", "type on a keyboard", "point to something"),
    *("take a selfie", "check time on a watch", "rub two hands", "nod head or bow"),
    *("shake head", "wipe face", "salute", "put palms together", "cross hands in front"),
    *("sneeze or cough", "staggering", "falling down", "headache", "chest pain", "back pain"),
    *("neck pain", "nausea or vomiting", "fan self", "punch or slap", "kicking", "pushing"),
    *("pat on back", "point finger", "hugging", "giving object", "touch pocket"),
    *("shaking hands", "walking towards", "walking apart"),
)
"""Actions A001 to A060; those from A050 on are of two people."""

NTU120_CLASSES: Final = (
    *NTU60_CLASSES,
    *("put on headphone", "take off headphone", "shoot at basket", "bounce ball"),
    *("tennis bat swing", "juggle table tennis ball", "hush", "flick hair", "thumb up"),
    *("thumb down", "make OK sign", "make victory sign", "staple book", "counting money"),
    *("cutting nails", "cutting paper", "snap fingers", "open bottle", "sniff or smell"),
    *("squat down", "toss a coin", "fold paper", "ball up paper", "play magic cube"),
    *("apply cream on face", "apply cream on hand", "put on bag", "take off bag"),
    *("put object into bag", "take object out of bag", "open a box", "move heavy objects"),
    *("shake fist", "throw up cap or hat", "capitulate", "cross arms", "arm circles"),
    *("arm swings", "run on the spot", "butt kicks", "cross toe touch", "side kick", "yawn"),
    *("stretch oneself", "blow nose", "hit with object", "wield knife", "knock over"),
    *("grab stuff", "shoot with gun", "step on foot", "high-five", "cheers and drink"),
    *("carry object", "take a photo", "follow", "whisper", "exchange things"),
    *("support somebody", "rock-paper-scissors"),
)
"""Actions A001 to A120; those from A106 on are of two people, too."""
