# ruff: noqa: E501 - tables read best with one row on a line
"""The small tables of knowledge from which the demo corpus is generated.

Every table is plain data in English and Korean, written for this project. A
row is one line; columns are separated by ``|``. Nothing here was copied from
a data set.
"""

from __future__ import annotations


def rows(text: str) -> list[list[str]]:
    """Split a table into its rows and columns, leaving out empty lines."""
    return [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.strip()]


def words(text: str) -> list[str]:
    """Split a comma-separated list."""
    return [part.strip() for part in text.replace("\n", " ").split(",") if part.strip()]


# country | capital | country in Korean | capital in Korean
CAPITALS = rows("""
France|Paris|프랑스|파리
Germany|Berlin|독일|베를린
Italy|Rome|이탈리아|로마
Spain|Madrid|스페인|마드리드
Portugal|Lisbon|포르투갈|리스본
England|London|영국|런던
Ireland|Dublin|아일랜드|더블린
Norway|Oslo|노르웨이|오슬로
Sweden|Stockholm|스웨덴|스톡홀름
Finland|Helsinki|핀란드|헬싱키
Denmark|Copenhagen|덴마크|코펜하겐
Iceland|Reykjavik|아이슬란드|레이캬비크
Poland|Warsaw|폴란드|바르샤바
Austria|Vienna|오스트리아|빈
Switzerland|Bern|스위스|베른
Belgium|Brussels|벨기에|브뤼셀
Netherlands|Amsterdam|네덜란드|암스테르담
Greece|Athens|그리스|아테네
Turkey|Ankara|튀르키예|앙카라
Hungary|Budapest|헝가리|부다페스트
Czechia|Prague|체코|프라하
Romania|Bucharest|루마니아|부쿠레슈티
Bulgaria|Sofia|불가리아|소피아
Serbia|Belgrade|세르비아|베오그라드
Croatia|Zagreb|크로아티아|자그레브
Ukraine|Kyiv|우크라이나|키이우
Russia|Moscow|러시아|모스크바
Estonia|Tallinn|에스토니아|탈린
Latvia|Riga|라트비아|리가
Lithuania|Vilnius|리투아니아|빌뉴스
South Korea|Seoul|한국|서울
Japan|Tokyo|일본|도쿄
China|Beijing|중국|베이징
Mongolia|Ulaanbaatar|몽골|울란바토르
India|New Delhi|인도|뉴델리
Nepal|Kathmandu|네팔|카트만두
Pakistan|Islamabad|파키스탄|이슬라마바드
Bangladesh|Dhaka|방글라데시|다카
Thailand|Bangkok|태국|방콕
Vietnam|Hanoi|베트남|하노이
Cambodia|Phnom Penh|캄보디아|프놈펜
Laos|Vientiane|라오스|비엔티안
Malaysia|Kuala Lumpur|말레이시아|쿠알라룸푸르
Indonesia|Jakarta|인도네시아|자카르타
Philippines|Manila|필리핀|마닐라
Iran|Tehran|이란|테헤란
Iraq|Baghdad|이라크|바그다드
Jordan|Amman|요르단|암만
Lebanon|Beirut|레바논|베이루트
Qatar|Doha|카타르|도하
Egypt|Cairo|이집트|카이로
Morocco|Rabat|모로코|라바트
Tunisia|Tunis|튀니지|튀니스
Algeria|Algiers|알제리|알제
Kenya|Nairobi|케냐|나이로비
Ethiopia|Addis Ababa|에티오피아|아디스아바바
Ghana|Accra|가나|아크라
Nigeria|Abuja|나이지리아|아부자
Senegal|Dakar|세네갈|다카르
Uganda|Kampala|우간다|캄팔라
Canada|Ottawa|캐나다|오타와
United States|Washington|미국|워싱턴
Mexico|Mexico City|멕시코|멕시코시티
Cuba|Havana|쿠바|아바나
Brazil|Brasilia|브라질|브라질리아
Argentina|Buenos Aires|아르헨티나|부에노스아이레스
Chile|Santiago|칠레|산티아고
Peru|Lima|페루|리마
Colombia|Bogota|콜롬비아|보고타
Ecuador|Quito|에콰도르|키토
Venezuela|Caracas|베네수엘라|카라카스
Uruguay|Montevideo|우루과이|몬테비데오
Australia|Canberra|호주|캔버라
New Zealand|Wellington|뉴질랜드|웰링턴
""")

# animal | Korean | sound, English | sound, Korean | legs | group | group in Korean
# | feature | feature in Korean   ("-" means: no such question is asked)
ANIMALS = rows("""
cat|고양이|meows|야옹|4|mammal|포유류|has soft fur and whiskers|부드러운 털과 수염이 있어요
dog|개|barks|멍멍|4|mammal|포유류|is loyal and has a good nose|충성스럽고 냄새를 잘 맡아요
cow|소|moos|음매|4|mammal|포유류|gives milk|우유를 줘요
duck|오리|quacks|꽥꽥|2|bird|새|can swim and fly|헤엄도 치고 날 수도 있어요
owl|올빼미|hoots|부엉부엉|2|bird|새|can see at night|밤에도 잘 봐요
lion|사자|roars|어흥|4|mammal|포유류|has a thick mane|두꺼운 갈기가 있어요
frog|개구리|croaks|개굴개굴|4|amphibian|양서류|can jump far|멀리 뛰어요
bee|벌|buzzes|윙윙|6|insect|곤충|makes honey|꿀을 만들어요
horse|말|neighs|히힝|4|mammal|포유류|can run fast|빨리 달려요
pig|돼지|oinks|꿀꿀|4|mammal|포유류|has a round nose|코가 둥글어요
sheep|양|bleats|매애|4|mammal|포유류|has warm wool|따뜻한 털이 있어요
rooster|수탉|crows|꼬끼오|2|bird|새|wakes up early|일찍 일어나요
chicken|닭|clucks|꼬꼬|2|bird|새|lays eggs|알을 낳아요
wolf|늑대|howls|아우|4|mammal|포유류|lives in a pack|무리를 지어 살아요
snake|뱀|hisses|쉭쉭|0|reptile|파충류|has no legs|다리가 없어요
mouse|쥐|squeaks|찍찍|4|mammal|포유류|is very small|아주 작아요
bird|새|chirps|짹짹|2|bird|새|has wings and feathers|날개와 깃털이 있어요
elephant|코끼리|trumpets|뿌우|4|mammal|포유류|has a long trunk|긴 코가 있어요
monkey|원숭이|chatters|끼끼|-|mammal|포유류|can climb trees|나무를 잘 타요
crow|까마귀|caws|까악까악|2|bird|새|is very clever|아주 똑똑해요
bear|곰|growls|으르렁|4|mammal|포유류|sleeps in winter|겨울잠을 자요
tiger|호랑이|roars|어흥|4|mammal|포유류|has black stripes|검은 줄무늬가 있어요
rabbit|토끼|-|-|4|mammal|포유류|has long ears|긴 귀가 있어요
giraffe|기린|-|-|4|mammal|포유류|has a very long neck|목이 아주 길어요
zebra|얼룩말|-|-|4|mammal|포유류|has black and white stripes|검고 흰 줄무늬가 있어요
kangaroo|캥거루|-|-|2|mammal|포유류|carries its baby in a pouch|주머니에 아기를 넣고 다녀요
penguin|펭귄|-|-|2|bird|새|swims well but cannot fly|헤엄은 잘 치지만 날지 못해요
turtle|거북이|-|-|4|reptile|파충류|carries a hard shell|단단한 등딱지가 있어요
spider|거미|-|-|8|arachnid|거미류|spins a web|거미줄을 쳐요
ant|개미|-|-|6|insect|곤충|is small but strong|작지만 힘이 세요
butterfly|나비|-|-|6|insect|곤충|has colourful wings|화려한 날개가 있어요
fish|물고기|-|-|0|fish|어류|breathes under water|물속에서 숨을 쉬어요
shark|상어|-|-|0|fish|어류|has many sharp teeth|날카로운 이빨이 많아요
whale|고래|-|-|0|mammal|포유류|is the largest animal in the sea|바다에서 가장 큰 동물이에요
dolphin|돌고래|-|-|0|mammal|포유류|is a clever swimmer|똑똑하고 헤엄을 잘 쳐요
crocodile|악어|-|-|4|reptile|파충류|has a strong jaw|턱이 아주 세요
camel|낙타|-|-|4|mammal|포유류|stores fat in its hump|혹에 지방을 저장해요
fox|여우|-|-|4|mammal|포유류|has a bushy tail|풍성한 꼬리가 있어요
squirrel|다람쥐|-|-|4|mammal|포유류|hides nuts|도토리를 숨겨요
octopus|문어|-|-|-|mollusc|연체동물|has eight arms|팔이 여덟 개예요
""")

# From small to large, for "which is bigger".
ANIMALS_BY_SIZE = words("ant, bee, mouse, frog, rabbit, cat, fox, sheep, lion, horse, camel, giraffe, elephant, whale")

# English | Korean: used for translation in both directions.
TRANSLATIONS = rows("""
water|물
book|책
friend|친구
school|학교
dog|개
cat|고양이
love|사랑
sun|해
moon|달
tree|나무
house|집
bread|빵
rice|밥
milk|우유
apple|사과
pear|배
grape|포도
banana|바나나
strawberry|딸기
watermelon|수박
potato|감자
carrot|당근
onion|양파
egg|달걀
meat|고기
fish|물고기
salt|소금
sugar|설탕
coffee|커피
tea|차
juice|주스
flower|꽃
rose|장미
leaf|잎
grass|풀
forest|숲
mountain|산
river|강
sea|바다
island|섬
sky|하늘
star|별
cloud|구름
rain|비
snow|눈
wind|바람
fire|불
ice|얼음
stone|돌
sand|모래
road|길
bridge|다리
city|도시
village|마을
market|시장
shop|가게
library|도서관
hospital|병원
station|역
park|공원
garden|정원
door|문
window|창문
table|탁자
chair|의자
bed|침대
room|방
kitchen|부엌
clock|시계
lantern|등불
key|열쇠
bag|가방
umbrella|우산
hat|모자
shoes|신발
clothes|옷
ring|반지
money|돈
paper|종이
pencil|연필
letter|편지
picture|그림
music|음악
song|노래
dance|춤
movie|영화
story|이야기
game|놀이
car|자동차
bus|버스
train|기차
bicycle|자전거
airplane|비행기
mother|어머니
father|아버지
brother|형제
sister|자매
baby|아기
child|아이
family|가족
teacher|선생님
student|학생
doctor|의사
farmer|농부
king|왕
queen|여왕
name|이름
person|사람
head|머리
face|얼굴
nose|코
mouth|입
ear|귀
hand|손
foot|발
mind|마음
birthday|생일
night|밤
morning|아침
evening|저녁
today|오늘
tomorrow|내일
yesterday|어제
week|주
spring|봄
summer|여름
autumn|가을
winter|겨울
time|시간
red|빨간색
blue|파란색
yellow|노란색
green|초록색
white|흰색
black|검은색
big|큰
small|작은
good|좋은
bad|나쁜
new|새로운
old|오래된
hot|뜨거운
cold|차가운
beautiful|아름다운
horse|말
rabbit|토끼
bear|곰
tiger|호랑이
lion|사자
elephant|코끼리
monkey|원숭이
pig|돼지
cow|소
duck|오리
frog|개구리
butterfly|나비
dream|꿈
hope|희망
peace|평화
happiness|행복
world|세계
country|나라
Korea|한국
eat|먹다
drink|마시다
go|가다
come|오다
see|보다
hear|듣다
read|읽다
write|쓰다
sleep|자다
run|달리다
walk|걷다
swim|수영하다
learn|배우다
laugh|웃다
cry|울다
hello|안녕하세요
thank you|감사합니다
goodbye|안녕히 가세요
sorry|죄송합니다
yes|네
no|아니요
""")

# Whole sentences, English | Korean.
SENTENCES = rows("""
Nice to meet you.|만나서 반갑습니다.
How are you?|어떻게 지내세요?
What is your name?|이름이 뭐예요?
I am hungry.|배가 고파요.
I am tired.|피곤해요.
I am happy.|저는 행복해요.
I love you.|사랑해요.
See you tomorrow.|내일 봐요.
Good night.|안녕히 주무세요.
Good morning.|좋은 아침이에요.
I do not know.|잘 모르겠어요.
Please help me.|도와주세요.
It is cold today.|오늘은 추워요.
It is hot today.|오늘은 더워요.
It is raining.|비가 와요.
It is snowing.|눈이 와요.
Let's go home.|집에 가요.
Have a good day.|좋은 하루 보내세요.
Happy birthday.|생일 축하해요.
How much is it?|얼마예요?
Where are you from?|어디에서 왔어요?
I am a student.|저는 학생이에요.
I study Korean.|저는 한국어를 공부해요.
What time is it?|지금 몇 시예요?
""")

# Nouns that fit the sentence patterns below: English | Korean.
SENTENCE_NOUNS = rows("""
book|책
cat|고양이
dog|개
house|집
tree|나무
car|자동차
door|문
flower|꽃
bag|가방
hat|모자
clock|시계
chair|의자
picture|그림
key|열쇠
umbrella|우산
apple|사과
bicycle|자전거
school|학교
garden|정원
room|방
""")

# English | Korean | for the pattern "The (noun) is (adjective)."
SENTENCE_ADJECTIVES = rows("""
big|커요
small|작아요
new|새것이에요
old|오래됐어요
beautiful|아름다워요
good|좋아요
white|하얘요
black|까매요
""")

# English pattern | Korean pattern. "{noun:이/가}" asks for the right particle.
SENTENCE_PATTERNS = rows("""
I have {a_noun}.|저는 {noun:이/가} 있어요.
This is {a_noun}.|이것은 {noun:이에요/예요}.
Where is the {noun}?|{noun:은/는} 어디에 있어요?
I see {a_noun}.|{noun:이/가} 보여요.
I like this {noun}.|저는 이 {noun:을/를} 좋아해요.
I need {a_noun}.|저는 {noun:이/가} 필요해요.
The {noun} is {adjective}.|{noun:은/는} {adjective}.
""")

# word | opposite | Korean | opposite in Korean
OPPOSITES = rows("""
hot|cold|뜨겁다|차갑다
big|small|크다|작다
long|short|길다|짧다
high|low|높다|낮다
fast|slow|빠르다|느리다
happy|sad|기쁘다|슬프다
good|bad|좋다|나쁘다
light|dark|밝다|어둡다
heavy|light|무겁다|가볍다
open|closed|열다|닫다
full|empty|가득하다|비다
old|young|늙다|젊다
rich|poor|부유하다|가난하다
strong|weak|강하다|약하다
hard|soft|단단하다|부드럽다
wet|dry|젖다|마르다
clean|dirty|깨끗하다|더럽다
loud|quiet|시끄럽다|조용하다
early|late|이르다|늦다
near|far|가깝다|멀다
thick|thin|두껍다|얇다
wide|narrow|넓다|좁다
deep|shallow|깊다|얕다
day|night|낮|밤
up|down|위|아래
left|right|왼쪽|오른쪽
inside|outside|안|밖
start|end|시작|끝
win|lose|이기다|지다
give|take|주다|받다
buy|sell|사다|팔다
push|pull|밀다|당기다
laugh|cry|웃다|울다
remember|forget|기억하다|잊다
love|hate|사랑하다|미워하다
easy|difficult|쉽다|어렵다
cheap|expensive|싸다|비싸다
sweet|bitter|달다|쓰다
brave|cowardly|용감하다|비겁하다
east|west|동쪽|서쪽
north|south|북쪽|남쪽
war|peace|전쟁|평화
first|last|처음|마지막
true|false|참|거짓
same|different|같다|다르다
""")

# thing | colour | Korean thing | Korean colour
COLOURS = rows("""
the sky|blue|하늘|파란색
grass|green|풀|초록색
the sun|yellow|해|노란색
snow|white|눈|하얀색
coal|black|석탄|검은색
a banana|yellow|바나나|노란색
a strawberry|red|딸기|빨간색
a carrot|orange|당근|주황색
milk|white|우유|하얀색
chocolate|brown|초콜릿|갈색
a tomato|red|토마토|빨간색
a lemon|yellow|레몬|노란색
a leaf|green|나뭇잎|초록색
a cucumber|green|오이|초록색
blood|red|피|빨간색
the sea|blue|바다|파란색
a crow|black|까마귀|검은색
a swan|white|백조|하얀색
a flamingo|pink|홍학|분홍색
an elephant|grey|코끼리|회색
a frog|green|개구리|초록색
a fire engine|red|소방차|빨간색
salt|white|소금|하얀색
rice|white|쌀|하얀색
a pumpkin|orange|호박|주황색
a lion|yellow|사자|노란색
a cherry|red|체리|빨간색
a bear|brown|곰|갈색
an aubergine|purple|가지|보라색
a pig|pink|돼지|분홍색
gold|yellow|금|노란색
a mouse|grey|쥐|회색
wood|brown|나무|갈색
""")

# colour | colour | mixture | the same in Korean
COLOUR_MIXTURES = rows("""
red|blue|purple|빨간색|파란색|보라색
red|yellow|orange|빨간색|노란색|주황색
blue|yellow|green|파란색|노란색|초록색
red|white|pink|빨간색|하얀색|분홍색
black|white|grey|검은색|하얀색|회색
""")

DAYS = rows("""
Monday|월요일
Tuesday|화요일
Wednesday|수요일
Thursday|목요일
Friday|금요일
Saturday|토요일
Sunday|일요일
""")

MONTHS = words("January, February, March, April, May, June, July, August, September, October, November, December")

# category in English | category in Korean | items in English | items in Korean
CATEGORIES = rows("""
fruits|과일|apple, banana, pear, grape, orange, peach, plum, lemon, cherry, melon|사과, 배, 포도, 딸기, 수박, 바나나, 복숭아, 귤, 감, 체리
animals|동물|cat, dog, lion, horse, rabbit, bear, fox, elephant, owl, frog|고양이, 개, 사자, 말, 토끼, 곰, 여우, 코끼리, 오리, 개구리
colours|색깔|red, blue, green, yellow, white, black, orange, purple, pink, brown|빨간색, 파란색, 초록색, 노란색, 하얀색, 검은색, 보라색, 주황색, 분홍색, 갈색
countries|나라|France, Japan, Canada, Kenya, Brazil, Italy, India, Norway, Peru, Egypt|프랑스, 일본, 캐나다, 케냐, 브라질, 이탈리아, 인도, 노르웨이, 페루, 이집트
vegetables|채소|carrot, potato, onion, cabbage, spinach, bean, pea, tomato, pepper, garlic|당근, 감자, 양파, 배추, 시금치, 콩, 오이, 토마토, 고추, 마늘
sports|운동|football, tennis, swimming, running, golf, hockey, boxing, rowing, skiing, cycling|축구, 야구, 농구, 배구, 수영, 달리기, 탁구, 테니스, 스키, 씨름
musical instruments|악기|piano, violin, guitar, flute, drum, trumpet, harp, cello, organ, clarinet|피아노, 바이올린, 기타, 플루트, 북, 트럼펫, 하프, 첼로, 가야금, 장구
jobs|직업|teacher, doctor, farmer, baker, nurse, pilot, singer, painter, cook, driver|선생님, 의사, 농부, 간호사, 요리사, 화가, 가수, 기자, 경찰관, 소방관
drinks|음료|water, tea, milk, coffee, juice, lemonade, cocoa, soda|물, 차, 우유, 커피, 주스, 레모네이드, 코코아, 식혜
flowers|꽃|rose, tulip, lily, daisy, violet, sunflower, orchid, iris|장미, 튤립, 백합, 국화, 제비꽃, 해바라기, 난초, 무궁화
clothes|옷|shirt, coat, hat, sock, shoe, scarf, skirt, glove, jacket, belt|셔츠, 코트, 치마, 바지, 재킷, 한복, 조끼, 원피스
things in a kitchen|부엌 물건|spoon, fork, knife, plate, cup, pan, pot, bowl|숟가락, 젓가락, 칼, 접시, 컵, 냄비, 그릇, 국자
planets|행성|Mercury, Venus, Earth, Mars, Jupiter, Saturn, Uranus, Neptune|수성, 금성, 지구, 화성, 목성, 토성, 천왕성, 해왕성
birds|새|owl, crow, duck, swan, eagle, robin, parrot, penguin, sparrow, pigeon|올빼미, 까마귀, 오리, 백조, 독수리, 참새, 앵무새, 펭귄, 비둘기, 제비
insects|곤충|ant, bee, butterfly, beetle, fly, moth, cricket, wasp|개미, 벌, 나비, 딱정벌레, 파리, 나방, 귀뚜라미, 잠자리
school subjects|과목|maths, history, music, art, science, geography, English, sport|수학, 역사, 음악, 미술, 과학, 지리, 영어, 체육
weather words|날씨 말|sun, rain, snow, wind, cloud, fog, storm, frost|해, 비, 눈, 바람, 구름, 안개, 폭풍, 서리
vehicles|탈것|car, bus, train, bicycle, ship, airplane, truck, tram|자동차, 버스, 기차, 자전거, 배, 비행기, 트럭, 지하철
""")

# Words for spelling, sorting and letter counting.
SPELLING_WORDS = words("""
apple, river, stone, light, green, house, music, paper, cloud, bread, chair, tiger, plant,
smile, dream, ocean, banana, orange, lemon, grape, table, window, garden, winter, summer, spring,
autumn, flower, forest, mountain, school, teacher, student, friend, family, mother, father, sister,
brother, doctor, farmer, market, village, city, street, bridge, train, plane, ship, boat, horse,
rabbit, monkey, lion, zebra, snake, eagle, mouse, sheep, goat, duck, goose, chicken, kitten, puppy,
sun, moon, star, sky, rain, snow, wind, storm, fire, water, earth, sand, rock, hill, lake, island,
tree, leaf, root, seed, grass, rose, tulip, bean, corn, rice, milk, honey, sugar, salt, cake, pie,
soup, cheese, butter, egg, meat, fish, fork, spoon, knife, plate, cup, bowl, lamp, clock, door, wall,
roof, floor, room, bed, pillow, blanket, mirror, brush, soap, towel, shirt, coat, hat, shoe, sock,
glove, scarf, ring, crown, king, queen, prince, castle, dragon, knight, sword, map, key, box, bag,
book, page, letter, pencil, pen, desk, class, lesson, number, circle, square, line, point, color,
red, blue, yellow, white, black, brown, purple, happy, sad, brave, quiet, loud, fast, slow, warm,
cold, hot, soft, hard, big, small, tall, short, long, old, new, young, clean, dark, sweet, strawberry,
computer, keyboard, picture, camera, guitar, piano, violin, drum, song, dance, story, poem, game,
puzzle, ball, kite, doll, robot, rocket, planet, space, world, country, capital, language, word
""")

KOREAN_SPELLING_WORDS = words("""
고양이, 강아지, 나무, 바다, 하늘, 사과, 포도, 바나나, 자동차, 비행기, 도서관, 학교, 선생님, 친구, 가방, 우산,
호랑이, 코끼리, 토끼, 개구리, 나비, 구름, 바람, 노래, 이야기, 여름, 겨울, 가을, 아침, 저녁, 시계, 의자, 자전거,
할머니, 아버지, 어머니, 대한민국, 무지개, 해바라기, 컴퓨터
""")

# function name | what it does | the same in Korean | body (";" for a new line, ">" for an indent)
PYTHON_FUNCTIONS = rows("""
add(a, b)|adds two numbers|두 수를 더하는|return a + b
subtract(a, b)|subtracts two numbers|두 수를 빼는|return a - b
multiply(a, b)|multiplies two numbers|두 수를 곱하는|return a * b
divide(a, b)|divides two numbers|두 수를 나누는|return a / b
square(n)|squares a number|수를 제곱하는|return n * n
double(n)|doubles a number|수를 두 배로 만드는|return n * 2
is_even(n)|checks if a number is even|짝수인지 확인하는|return n % 2 == 0
is_odd(n)|checks if a number is odd|홀수인지 확인하는|return n % 2 == 1
is_positive(n)|checks if a number is positive|양수인지 확인하는|return n > 0
maximum(numbers)|returns the largest number in a list|리스트에서 가장 큰 수를 찾는|return max(numbers)
minimum(numbers)|returns the smallest number in a list|리스트에서 가장 작은 수를 찾는|return min(numbers)
total(numbers)|sums a list of numbers|리스트의 합을 구하는|return sum(numbers)
average(numbers)|computes the average of a list|리스트의 평균을 구하는|return sum(numbers) / len(numbers)
reverse(text)|reverses a string|문자열을 뒤집는|return text[::-1]
is_palindrome(text)|checks if a string is a palindrome|회문인지 확인하는|return text == text[::-1]
count_vowels(text)|counts the vowels in a string|모음의 수를 세는|return sum(c in "aeiou" for c in text.lower())
count_words(text)|counts the words in a text|단어의 수를 세는|return len(text.split())
shout(text)|turns a text into capital letters|문장을 대문자로 바꾸는|return text.upper()
first(items)|returns the first item of a list|리스트의 첫 항목을 돌려주는|return items[0]
last(items)|returns the last item of a list|리스트의 마지막 항목을 돌려주는|return items[-1]
sort_numbers(numbers)|sorts a list of numbers|리스트를 정렬하는|return sorted(numbers)
unique(items)|removes duplicates from a list|리스트에서 중복을 없애는|return list(dict.fromkeys(items))
greet(name)|greets a person by name|이름을 불러 인사하는|return f"Hello, {name}!"
hello()|prints hello world|Hello, world!를 출력하는|print("Hello, world!")
factorial(n)|computes the factorial of a number|팩토리얼을 계산하는|result = 1;for i in range(2, n + 1):;>result *= i;return result
fibonacci(n)|computes the n-th Fibonacci number|피보나치 수를 계산하는|a, b = 0, 1;for _ in range(n):;>a, b = b, a + b;return a
is_prime(n)|checks if a number is prime|소수인지 확인하는|if n < 2:;>return False;for i in range(2, int(n ** 0.5) + 1):;>if n % i == 0:;>>return False;return True
fizzbuzz(n)|plays FizzBuzz up to n|FizzBuzz를 하는|for i in range(1, n + 1):;>if i % 15 == 0:;>>print("FizzBuzz");>elif i % 3 == 0:;>>print("Fizz");>elif i % 5 == 0:;>>print("Buzz");>else:;>>print(i)
countdown(n)|counts down from n to zero|n부터 0까지 거꾸로 세는|while n >= 0:;>print(n);>n -= 1
absolute(n)|returns the absolute value of a number|절댓값을 구하는|return n if n >= 0 else -n
to_fahrenheit(celsius)|converts Celsius to Fahrenheit|섭씨를 화씨로 바꾸는|return celsius * 9 / 5 + 32
swap(a, b)|swaps two values|두 값을 바꾸는|return b, a
""")

NAMES = words(
    "Mina, Tom, Lily, Jun, Sara, Max, Nora, Leo, Hana, Ben, Anna, Sam, Ella, Finn, Ruby, Oscar, Maya, Hugo, Ivy, Noah"
)
KOREAN_NAMES = words("민아, 준호, 서연, 지훈, 하나, 도윤, 수빈, 유진, 은지, 태오, 보라, 현우, 지우, 소라, 다온, 가람")

# Topics that are beyond the models: English | Korean.
UNKNOWN_TOPICS = rows("""
quantum physics|양자 물리학
the stock market|주식 시장
the French Revolution|프랑스 혁명
black holes|블랙홀
the Roman Empire|로마 제국
climate change|기후 변화
machine learning|기계 학습
income tax|소득세
the theory of relativity|상대성 이론
photosynthesis|광합성
the Second World War|제2차 세계 대전
Shakespeare|셰익스피어
Napoleon|나폴레옹
Einstein|아인슈타인
Beethoven|베토벤
Picasso|피카소
the World Cup|월드컵
the Olympic Games|올림픽
the internet|인터넷
bitcoin|비트코인
a diesel engine|디젤 엔진
nuclear power|원자력
DNA|유전자
the human brain|사람의 뇌
vaccines|백신
antibiotics|항생제
diabetes|당뇨병
a headache|두통
insurance|보험
a mortgage|주택 담보 대출
the constitution|헌법
the United Nations|유엔
democracy|민주주의
philosophy|철학
Buddhism|불교
the moon landing|달 착륙
Mars missions|화성 탐사
volcanoes|화산
earthquakes|지진
dinosaurs|공룡
the pyramids|피라미드
the Great Wall|만리장성
the Eiffel Tower|에펠탑
Mount Everest|에베레스트산
the Pacific Ocean|태평양
opera|오페라
jazz|재즈
baroque music|바로크 음악
modern art|현대 미술
chess openings|체스 오프닝
poker|포커
football results|축구 결과
my horoscope|내 별자리 운세
the lottery numbers|로또 번호
cheap flights|싼 비행기표
a good hotel|좋은 호텔
restaurants near me|근처 식당
a pasta recipe|파스타 요리법
kimchi stew|김치찌개
sourdough bread|사워도우 빵
my car|내 자동차
a broken phone|고장 난 휴대폰
a leaking tap|새는 수도꼭지
Linux servers|리눅스 서버
Rust programs|러스트 프로그램
JavaScript frameworks|자바스크립트 프레임워크
SQL databases|데이터베이스
a neural network|신경망
blockchains|블록체인
electric cars|전기 자동차
solar panels|태양광 패널
the economy|경제
inflation|물가 상승
the president|대통령
the prime minister|총리
the latest news|최신 뉴스
the weather tomorrow|내일 날씨
the traffic|교통 상황
a job interview|면접
my boss|우리 상사
a wedding speech|결혼식 축사
yoga|요가
losing weight|다이어트
a marathon|마라톤
growing tomatoes|토마토 기르기
house plants|실내 식물
dog training|개 훈련
fishing|낚시
sailing|요트
guitar chords|기타 코드
Latin grammar|라틴어 문법
Spanish verbs|스페인어 동사
integrals|적분
matrices|행렬
prime number theory|정수론
statistics|통계학
the periodic table|주기율표
gravity|중력
lasers|레이저
the speed of light|빛의 속도
""")
